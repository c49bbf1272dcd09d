"""The models: what is on this machine and what can be had; download, choose, remove with undo, add a file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.worker import Worker

from chatapp.errors import ChatappError
from chatapp.events import Progress
from chatapp.offers import Offer, offers
from chatapp.progress import human_bytes
from chatapp.text import one_line
from chatapp.tui.first_run import use_model
from chatapp.tui.keys import hint, key
from chatapp.tui.safe import line, lines, safe
from chatapp.tui.widgets.download import Download
from chatapp.tui.widgets.model_picker import ModelPicker

if TYPE_CHECKING:
    from chatapp.tui.app import ChatApp
    from chatapp.tui.screens.chat import ChatScreen


class ModelsScreen(Screen[None]):
    """A list, what is known of the highlighted model, and the download under way."""

    app: ChatApp
    BINDINGS: ClassVar[list[BindingType]] = [
        key("enter", "take", "download or use", "Download the model, or answer with it from now on.", "models.take"),
        key("d,delete", "remove", "remove", "Remove it; undo brings it back.", "models.remove"),
        key("u,ctrl+z", "undo", "undo", "Bring back what was removed last.", "models.undo"),
        key("a", "add", "add a file", "Use a GGUF file where it lies.", "models.add"),
        key("escape,f3", "close", "close", "Stop the download, or back to the chat.", "models.close"),
    ]

    def __init__(self, chat: ChatScreen) -> None:
        super().__init__()
        self._chat = chat
        self._store = chat.session.host.models
        self._fetching: Worker[None] | None = None
        self.picker = ModelPicker()
        self.download = Download()

    def compose(self) -> ComposeResult:
        """List, details, progress, hints."""
        with Vertical(classes="sheet") as sheet:
            sheet.border_title = "Models"
            yield self.picker
            yield Static(id="model-details")
            yield self.download
            yield Static(id="sheet-hint")

    async def on_mount(self) -> None:
        """What there is."""
        ids = ("take", "remove", "undo", "add", "close")
        self.query_one("#sheet-hint", Static).update(safe(hint(self.app, type(self), *(f"models.{i}" for i in ids))))
        await self.look()
        self.picker.focus()

    async def look(self) -> None:
        """List anew."""
        self.picker.offer(await asyncio.to_thread(offers, self._chat.session.host), self._chat.session.model)

    @on(OptionList.OptionHighlighted)
    async def _highlighted(self) -> None:
        offer = self.picker.chosen
        if offer is None:
            return
        details = await asyncio.to_thread(self._store.info, offer.name)
        rows = [line((offer.name, "bold"))]
        rows += [line(offer.entry.description)] if offer.entry is not None and offer.entry.description else []
        rows += (
            [line((f"Needs {human_bytes(offer.entry.memory)} of memory. {details.assurance}", "dim"))]
            if offer.entry
            else []
        )
        rows += [line((str(offer.installed.path), "dim"))] if offer.installed is not None else []
        rows += [line((offer.problem, "$error"))] if offer.problem else []
        self.query_one("#model-details", Static).update(lines(rows))

    @property
    def busy(self) -> bool:
        """Whether a download is under way."""
        return self._fetching is not None and not self._fetching.is_finished

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self.action_take()

    def action_take(self) -> None:
        """Download it, or use it where it is here."""
        offer = self.picker.chosen
        if offer is None or self.busy:
            return
        if offer.usable:
            self._fetching = self.run_worker(self._use(offer.name))
        else:
            self._fetching = self.run_worker(self._fetch(self._store.pull(offer.name)))

    async def _use(self, name: str) -> None:
        use_model(self._chat, name)
        self.app.notify(f"{name} answers from now on.", markup=False)
        await self._settled()
        self._chat.warmup.start()

    async def _fetch(self, steps: AsyncGenerator[Progress, None]) -> None:
        try:
            async with aclosing(steps) as events:
                async for progress in events:
                    self.download.report(progress)
        except ChatappError as error:
            self._chat.session.ui.notify(str(error), "error")
        finally:
            self.download.close()
        await self._settled()

    async def _settled(self) -> None:
        await self.look()
        if self._chat.first_run.needed and not await self._chat.first_run.check():
            self._chat.warmup.start()
            await self._chat.runner.next()

    @work
    async def action_remove(self) -> None:
        """Remove at once: undo brings it back."""
        offer = self.picker.chosen
        if offer is None or offer.installed is None:
            return
        await self._change(self._remove, offer)

    def _remove(self, offer: Offer) -> str:
        removed = self._store.remove(offer.name)
        undo = hint(self.app, type(self), "models.undo")
        what = "its file was not touched" if removed.in_place else f"{human_bytes(removed.freed)} wait in the trash"
        return f"{removed.name} is removed ({what}). {undo} brings it back."

    @work
    async def action_undo(self) -> None:
        """Bring back the last one."""
        await self._change(lambda _: f"{self._store.restore().name} is back.", None)

    async def _change(self, change: object, offer: Offer | None) -> None:
        try:
            sentence: str = await asyncio.to_thread(change, offer)  # type: ignore[arg-type]
            self.app.notify(one_line(sentence, 300), markup=False)
        except ChatappError as error:
            self._chat.session.ui.notify(str(error), "error")
        await self.look()

    @work
    async def action_add(self) -> None:
        """Ask for a path."""
        path = await self._chat.session.ui.prompt("Which GGUF file? It is used where it lies.")
        if path and not self.busy:
            self._fetching = self.run_worker(self._fetch(self._store.add(Path(path.strip("\"' ")).expanduser())))

    def action_close(self) -> None:
        """Stop the download; where there is none, back to the chat."""
        if self.busy and self._fetching is not None:
            self._fetching.cancel()
            self.app.notify("Stopped. What came is kept: Enter goes on with it.", markup=False)
        else:
            self.dismiss()
