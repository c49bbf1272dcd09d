"""One setting in the form: its name, its value, the prose below it, and what is wrong with what was typed."""

from __future__ import annotations

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Input, Select, Static, Switch

from chatapp.text import visible
from chatapp.tui.fields import Field, written
from chatapp.tui.safe import line, safe

Save = Callable[[Field, object], str]


class FieldRow(Vertical):
    """Saves by `save`, which returns the sentence that says why not."""

    def __init__(self, field: Field, save: Save) -> None:
        super().__init__(classes="field")
        self.field = field
        self._save = save

    def compose(self) -> ComposeResult:
        """Name and value beside each other, prose and error below."""
        with Horizontal(classes="field-line"):
            yield Static(classes="field-name")
            yield self._editor()
        yield Static(safe(self.field.info.description or ""), classes="field-about")
        yield Static(classes="field-error")

    def on_mount(self) -> None:
        """Nothing is wrong yet."""
        self.query_one(".field-error").display = False
        self._show_name()

    def _editor(self) -> Widget:
        field = self.field
        if field.switch:
            return Switch(bool(field.value), animate=False)
        if field.choices:
            value = str(field.value) if field.value is not None else Select.NULL
            return Select.from_values(field.choices, value=value, compact=True)
        default = written(field.default)
        return Input(visible(field.typed), placeholder=f"default: {default}" if default else "default", compact=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter saves."""
        event.stop()
        self._put(event.value)

    def on_input_blurred(self, event: Input.Blurred) -> None:
        """So does leaving the field."""
        if event.value != visible(self.field.typed):
            self._put(event.value)

    def on_switch_changed(self, event: Switch.Changed) -> None:
        """A switch saves at once."""
        if event.value != self.field.value:
            self._keep(event.value)

    def on_select_changed(self, event: Select.Changed) -> None:
        """So does a choice."""
        value = None if event.value is Select.NULL else str(event.value)
        if value != self.field.value and not (value is None and self.field.value is None):
            self._keep(value)

    def reset(self) -> None:
        """Back to the default: the key leaves the settings file."""
        if self._keep(None):
            self._show_value()

    def _put(self, text: str) -> None:
        if self._keep(self.field.read(text)):
            self._show_value()

    def _keep(self, value: object) -> bool:
        problem = self._save(self.field, value)
        error = self.query_one(".field-error", Static)
        error.display = bool(problem)
        error.update(safe(problem))
        self._show_name()
        return not problem

    def _show_value(self) -> None:
        for editor in self.query(Input):
            editor.value = visible(self.field.typed)
        for switch in self.query(Switch):
            switch.value = bool(self.field.value)
        for select in self.query(Select):
            select.value = Select.NULL if self.field.value is None else str(self.field.value)

    def _show_name(self) -> None:
        mark = ("● ", "$warning") if self.field.changed else "  "
        self.query_one(".field-name", Static).update(line(mark, (self.field.name, "bold")))
