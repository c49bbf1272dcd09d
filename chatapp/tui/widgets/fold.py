"""A fold: one line that opens to show what is inside. What is inside is made only when it is first opened."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.events import Click
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from chatapp.tui.safe import safe


class FoldTitle(Static):
    """The line that is always there."""

    async def on_click(self, event: Click) -> None:
        """A click opens and closes."""
        event.stop()
        if isinstance(self.parent, Fold):
            await self.parent.toggle()


class Fold(Vertical):
    """`title` in one line, and below it, when open, the widget that `make` returns."""

    opened = reactive(False, toggle_class="-open")

    def __init__(self, title: str, make: Callable[[], Widget], *, classes: str = "") -> None:
        super().__init__(classes=classes)
        self.heading = title
        self._make = make
        self._inside: Widget | None = None

    def compose(self) -> ComposeResult:
        """The title alone."""
        yield FoldTitle(self._line(), classes="fold-title")

    async def toggle(self, opened: bool | None = None) -> None:
        """Open when closed and the other way round, or as told."""
        self.opened = not self.opened if opened is None else opened
        if self.opened and self._inside is None:
            self._inside = self._make()
            self._inside.add_class("fold-inside")
            await self.mount(self._inside)
        if self._inside is not None:
            self._inside.display = self.opened
        self._show_line()

    def rename(self, title: str) -> None:
        """Give it another title."""
        self.heading = title
        self._show_line()

    def _show_line(self) -> None:
        if self.is_mounted:
            self.query_one(FoldTitle).update(self._line())

    def _line(self) -> Content:
        return safe(f"{'▾' if self.opened else '▸'} {self.heading}")


def text_fold(title: str, text: str, *, classes: str = "") -> Fold:
    """A fold around plain text."""
    return Fold(title, lambda: Static(safe(text)), classes=classes)
