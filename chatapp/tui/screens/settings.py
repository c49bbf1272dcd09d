"""The settings: a form made from the settings models of the core and of every plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

from chatapp.errors import ChatappError
from chatapp.host import Host
from chatapp.tui.fields import Field, fields
from chatapp.tui.keys import hint, key
from chatapp.tui.safe import line, safe
from chatapp.tui.widgets.field import FieldRow

if TYPE_CHECKING:
    from chatapp.tui.app import ChatApp


class SettingsScreen(Screen[None]):
    """One page; each change is written at once."""

    app: ChatApp
    BINDINGS: ClassVar[list[BindingType]] = [
        key("down", "app.focus_next", "next", "Go to the next setting.", "settings.next"),
        key("up", "app.focus_previous", "before", "Go to the setting before.", "settings.before"),
        key("ctrl+r", "reset", "default", "Set this one back to its default.", "settings.reset", priority=True),
        key("escape,f4", "close", "close", "Back to the chat.", "settings.close"),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host

    def compose(self) -> ComposeResult:
        """A heading for each table, its fields, hints."""
        with Vertical(classes="sheet") as sheet:
            sheet.border_title = "Settings"
            with VerticalScroll(id="form", can_focus=False):
                yield Static(line(("Saved in ", "dim"), (str(self._host.settings.path), "dim")), classes="form-path")
                title = ""
                for field in fields(self._host):
                    if field.title != title:
                        title = field.title
                        yield Static(safe(title), classes="form-title")
                    yield FieldRow(field, self._save)
            yield Static(id="sheet-hint")

    def on_mount(self) -> None:
        """Say the keys; when plugins come or go, so do their settings."""
        self._begin()
        self._host.changed.append(self._follow)

    def on_unmount(self) -> None:
        """Follow no longer."""
        self._host.changed.remove(self._follow)

    def _follow(self, plugin: str) -> None:
        anew: Any = self._anew
        self.run_worker(anew, exclusive=True)

    async def _anew(self) -> None:
        await self.recompose()
        self._begin()

    def _begin(self) -> None:
        ids = ("next", "before", "reset", "close")
        keys = hint(self.app, type(self), *(f"settings.{each}" for each in ids))
        self.query_one("#sheet-hint", Static).update(safe(f"Enter save · {keys} · ● changed"))
        self.query_one(FieldRow).query("Input, Switch, Select").first().focus()

    def _save(self, field: Field, value: object) -> str:
        """Write it; the sentence that says why not."""
        try:
            self._host.set_config(field.table, field.name, value)
        except ChatappError as error:
            return str(error)
        self.app.chat.show_facts()
        for row in self.query(FieldRow):
            row.field = next(
                each for each in fields(self._host) if (each.table, each.name) == (row.field.table, row.field.name)
            )
        return ""

    def action_reset(self) -> None:
        """Set the focused one back."""
        focused = self.focused
        row = next((each for each in focused.ancestors if isinstance(each, FieldRow)), None) if focused else None
        if row is not None:
            row.reset()

    def action_close(self) -> None:
        """Leave the field first, so that what was typed in it is saved."""
        self.set_focus(None)
        self.call_after_refresh(self._leave)

    def _leave(self) -> None:
        # Not handed over itself: what it returns would be awaited here, and waits for this screen.
        self.dismiss()
