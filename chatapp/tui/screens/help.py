"""Help: every key there is and what it does, made from the bindings; and a plain text to read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from rich.table import Table
from rich.text import Text as RichText
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import ModalScreen
from textual.widgets import Static

from chatapp.tui.keys import Group, groups, key, keys_of, shown
from chatapp.tui.safe import safe


class TextScreen(ModalScreen[None]):
    """A title and something to read."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key("escape,q,f1", "close", "close", "Close this page.", "text.close"),
        key("c", "copy", "copy", "Copy the whole text.", "text.copy"),
    ]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title, self.text = title, text

    def compose(self) -> ComposeResult:
        """One scrolled page."""
        with Vertical(classes="page") as page:
            page.border_title = safe(self._title)
            page.border_subtitle = "Esc closes"
            with VerticalScroll() as scroll:
                scroll.can_focus = True
                yield from self.body()

    def body(self) -> Iterable[Static]:
        """What is on the page."""
        yield Static(safe(self.text))

    def action_close(self) -> None:
        """Back to where we were."""
        self.dismiss()

    def action_copy(self) -> None:
        """Copy what is to be read."""
        self.app.copy_to_clipboard(self.text)


class HelpScreen(TextScreen):
    """All keys; those of the places the cursor is in come first."""

    def __init__(self, chain: Iterable[DOMNode]) -> None:
        self._here = [type(node) for node in chain]
        super().__init__("Keys", "")

    def body(self) -> Iterable[Static]:
        """A table for each place."""
        found = sorted(groups(), key=self._nearness)
        yield Static(Content("Any key can be changed in the settings, by its id: F4, then keys."), classes="help-intro")
        for group in found:
            yield Static(safe(group.title), classes="help-title")
            yield Static(self._table(group), classes="help-table")
        self.text = "\n".join(self._plain(group) for group in found)

    def _nearness(self, group: Group) -> int:
        return self._here.index(group.place) if group.place in self._here else len(self._here)

    def _table(self, group: Group) -> Table:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0), expand=True)
        table.add_column(width=20)
        table.add_column(ratio=1)
        if self.app.size.width >= 100:
            table.add_column(style="dim")
        for binding in group.bindings:
            cells = [RichText(shown(keys_of(self.app, binding)), "bold"), RichText(binding.tooltip)]
            table.add_row(*cells, *([RichText(binding.id or "")] if len(table.columns) == 3 else []))
        return table

    def _plain(self, group: Group) -> str:
        rows = [f"  {shown(keys_of(self.app, each))}: {each.tooltip} ({each.id})" for each in group.bindings]
        return "\n".join([group.title, *rows])
