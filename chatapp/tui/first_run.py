"""The first run: no model is there to answer yet. Shows the card, fetches the model, then answers what waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

from textual.worker import Worker

from chatapp.errors import ChatappError
from chatapp.events import Progress
from chatapp.offers import memory_bytes, missing, name_of, offers
from chatapp.tui.widgets.welcome import Welcome

if TYPE_CHECKING:
    from chatapp.tui.screens.chat import ChatScreen


class FirstRun:
    """`needed` while the session's model cannot answer."""

    def __init__(self, screen: ChatScreen) -> None:
        self._screen = screen
        self._worker: Worker[None] | None = None
        self._card: Welcome | None = None

    @property
    def needed(self) -> bool:
        """Whether a model has to be chosen first."""
        return self._card is not None

    @property
    def busy(self) -> bool:
        """Whether one is being fetched."""
        return self._worker is not None and not self._worker.is_finished

    async def check(self) -> bool:
        """Look whether the model is there; show or take away the card."""
        session = self._screen.session
        why = await asyncio.to_thread(missing, session)
        if not why:
            await self._close()
        elif self._card is None:
            found = await asyncio.to_thread(offers, session.host)
            offline = session.host.offline
            # Offline only what is here already can be chosen.
            found = [each for each in found if each.usable] if offline else found
            self._card = Welcome(found, memory_bytes(), session.model, offline=offline, sentence=why)
            await self._screen.transcript.note(self._card)
        return bool(why)

    def move(self, by: int) -> None:
        """Choose another model."""
        if self._card is not None and not self.busy:
            self._card.picker.move(by)

    def submitted(self, text: str) -> bool:
        """Take what was typed: one Enter fetches the model, a file is used, a question waits. Commands are not ours."""
        bare = text.strip("\"'")
        if bare.lower().endswith(".gguf") and "\n" not in bare:
            self.add(Path(bare).expanduser())
        elif text.startswith("/"):
            return False
        else:
            self._screen.runner.queue += [text] if text else []
            self._screen.show_queue()
            self.start()
        return True

    def start(self) -> None:
        """Fetch the highlighted model, or use it where it is here."""
        offer = self._card.picker.chosen if self._card is not None else None
        if offer is not None and not self.busy:
            name = offer.name
            self._run(self._fetch(name, None if offer.usable else self._screen.session.host.models.pull(name)))

    def add(self, path: Path) -> None:
        """Use a file where it lies."""
        if not self.busy:
            self._run(self._fetch(str(path), self._screen.session.host.models.add(path)))

    def cancel(self) -> bool:
        """Stop fetching; what came is kept, to go on later. Whether anything was stopped."""
        if not self.busy or self._worker is None:
            return False
        self._worker.cancel()
        return True

    def _run(self, work: object) -> None:
        self._worker = self._screen.run_worker(work, group="model")  # type: ignore[arg-type]

    async def _fetch(self, name: str, steps: AsyncGenerator[Progress, None] | None) -> None:
        screen, card = self._screen, self._card
        if card is None:
            return
        card.show_state(downloading=True)
        screen.show_hints()
        try:
            if steps is not None:
                async with aclosing(steps) as events:
                    async for progress in events:
                        card.download.report(progress)
                        screen.transcript.to_end()
            use_model(screen, name_of(screen.session.host, name))
        except ChatappError as error:
            await screen.transcript.say(str(error), "error")
        except asyncio.CancelledError:
            if screen.app.is_running:
                screen.app.notify("Stopped. What came is kept: Enter goes on with it.", markup=False)
                screen.runner.take_back()
            raise
        finally:
            if card.is_attached:
                card.show_state(downloading=False)
                screen.show_hints()
        if not await self.check():
            screen.warmup.start()
            await screen.runner.next()

    async def _close(self) -> None:
        if self._card is not None:
            await self._card.remove()
            self._card = None


def use_model(screen: ChatScreen, name: str) -> None:
    """Answer with this model from now on, here and in new conversations."""
    session = screen.session
    if session.model != name:
        session.values.pop("model", None)
        session.host.set_config("", "model", name)
    screen.show_facts()
