"""The UI that actions and plugins talk to, when it is the terminal chat that is in front."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from textual.screen import ModalScreen

from chatapp.events import Level, Progress
from chatapp.messages import Part
from chatapp.text import visible
from chatapp.ui import WHY, answers_to

if TYPE_CHECKING:
    from chatapp.consent import Ask, Decision
    from chatapp.tui.app import ChatApp

SECONDS: dict[Level, float] = {"information": 5.0, "warning": 8.0, "error": 12.0}
"""How long a notice stays on the screen."""


class TextualUI:
    """`chatapp.ui.UI` by toasts, dialogs, the status line and the transcript."""

    def __init__(self, app: ChatApp) -> None:
        self._app = app

    def notify(self, text: str, level: Level = "information") -> None:
        """A notice that goes away by itself."""
        self._app.notify(visible(text), severity=level, timeout=SECONDS[level], markup=False)

    async def confirm(self, question: str, detail: str = "") -> bool:
        """Yes or no; Escape is no."""
        from chatapp.tui.screens.dialogs import Confirm

        return bool(await self._ask(Confirm(question, detail)))

    async def choose(self, question: str, options: Sequence[str]) -> str | None:
        """One of `options`; Escape is None."""
        from chatapp.tui.screens.dialogs import Choose

        answer: str | None = await self._ask(Choose(question, options))
        return answer

    async def prompt(self, question: str, default: str = "") -> str | None:
        """A line of text; Escape is None."""
        from chatapp.tui.screens.dialogs import Prompt

        answer: str | None = await self._ask(Prompt(question, default))
        return answer

    async def permit(self, ask: Ask) -> Decision:
        """A dialog that shows exactly what will happen; Escape is no."""
        from chatapp.consent import Decision
        from chatapp.tui.screens.permit import Permit

        answer: str | None = await self._ask(Permit(ask))
        if answer == WHY:
            return Decision("no", await self.prompt("Why not? The model is told.") or "")
        return Decision(answers_to(ask)[answer] if answer is not None else "no")

    def progress(self, progress: Progress) -> None:
        """In the status line."""
        self._app.chat.status.report(progress)

    def show(self, part: Part) -> None:
        """A block in the transcript."""
        self._app.chat.show_part(part)

    async def _ask(self, screen: ModalScreen[Any]) -> Any:
        """Show a dialog and wait; whoever is cancelled meanwhile takes the dialog with it."""
        if not self._app.is_running:
            return None
        answered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def answer(result: Any) -> None:
            if not answered.done():
                answered.set_result(result)

        try:
            await self._app.push_screen(screen, answer)
            return await answered
        except asyncio.CancelledError:
            if screen.is_active:
                await screen.dismiss()
            raise
