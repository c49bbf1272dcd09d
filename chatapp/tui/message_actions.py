"""What can be done with one message: edit, answer again, walk between versions, copy, pin."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

from chatapp.text import one_line
from chatapp.tui.widgets.message import MessageView, Shown

if TYPE_CHECKING:
    from chatapp.tui.screens.chat import ChatScreen


class MessageActions:
    """A table of wishes and who fulfils them."""

    def __init__(self, screen: ChatScreen) -> None:
        self._screen = screen
        self._wishes: dict[str, Callable[[Shown], Awaitable[None]]] = {
            "edit": self._edit,
            "again": self._again,
            "before": lambda shown: self._step(shown, -1),
            "after": lambda shown: self._step(shown, 1),
            "pin": self._pin,
            "sent": self._sent,
        }

    async def do(self, view: MessageView, what: str, number: int = 0) -> None:
        """Fulfil a wish; one that does not apply says so. `number` is the citation to open, 0 for the first."""
        if what in {"copy", "code"}:
            await (self._copy(view) if what == "copy" else self._copy_code(view))
        elif what == "cite":
            await self._cite(view, number)
        elif view.shown is None or view.live or self._screen.runner.busy:
            self._screen.app.notify("Wait for the answer, or stop it with Esc.", markup=False)
        else:
            await self._wishes[what](view.shown)

    def focus(self, view: MessageView | None, by: int) -> None:
        """Move the focus by so many messages; past the last one is the input."""
        target = self._screen.transcript.step(view, by)
        if target is None:
            self._screen.composer.focus()
            return
        if target is view and by < 0:
            self._screen.run_worker(self._screen.transcript.earlier(), group="earlier")
        target.focus(scroll_visible=False)
        self._screen.transcript.scroll_to_widget(target, animate=False, top=by < 0)

    async def _edit(self, shown: Shown) -> None:
        if shown.message.role == "user":
            self._screen.edit(shown.message.id, shown.message.text)
        else:
            self._screen.app.notify("Only your own messages can be edited; r answers again.", markup=False)

    async def _again(self, shown: Shown) -> None:
        self._screen.composer.focus()
        self._screen.runner.again(shown.message.id)

    async def _step(self, shown: Shown, by: int) -> None:
        session = self._screen.session
        if shown.versions < 2:
            self._screen.app.notify("This message has one version only; e and r make more.", markup=False)
            return
        now = session.conversation.step(shown.message.id, by)
        await session.save()
        await self._screen.resync()
        self._focus_message(now)

    async def _pin(self, shown: Shown) -> None:
        session = self._screen.session
        session.conversation.pin(shown.message.id, not shown.pinned)
        await session.save()
        await self._screen.resync()
        self._focus_message(shown.message.id)

    async def _sent(self, shown: Shown) -> None:
        self._screen.side.show_sent()
        self._screen.show_side(True)

    async def _cite(self, view: MessageView, number: int) -> None:
        sources = list(view.sources)
        place = next((place for place, each in enumerate(sources) if number in (0, each.number)), None)
        if place is None:
            missing = f"It does not cite [{number}]." if sources else "This message cites no sources."
            self._screen.app.notify(missing, markup=False)
            return
        await self._screen.side.show_passage(sources, place, self._screen.focused)
        self._screen.show_side(True)

    async def _copy(self, view: MessageView) -> None:
        self._screen.app.copy_to_clipboard(view.text)
        self._screen.app.notify(f"Copied: {one_line(view.text, 40)}", markup=False)

    async def _copy_code(self, view: MessageView) -> None:
        blocks = code_blocks(view.text)
        if not blocks:
            self._screen.app.notify("There is no code block in this message.", markup=False)
            return
        chosen = blocks[0]
        if len(blocks) > 1:
            names = [f"{place}. {one_line(block, 60)}" for place, block in enumerate(blocks, 1)]
            answer = await self._screen.session.ui.choose("Which code block?", names)
            if answer is None:
                return
            chosen = blocks[names.index(answer)]
        self._screen.app.copy_to_clipboard(chosen)
        self._screen.app.notify(f"Copied {len(chosen.splitlines())} lines of code.", markup=False)

    def _focus_message(self, message_id: str) -> None:
        for view in self._screen.transcript.views:
            if view.shown is not None and view.shown.message.id == message_id:
                view.focus()


def code_blocks(text: str) -> list[str]:
    """The contents of the code blocks in a Markdown text."""
    tokens = MarkdownIt("commonmark").parse(text)
    return [token.content for token in tokens if token.type in {"fence", "code_block"}]
