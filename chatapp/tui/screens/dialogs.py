"""Questions in the middle of the screen: yes or no, one of several, a line of text. Escape gives the careful answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from chatapp.tui.keys import key
from chatapp.tui.safe import safe

Result = TypeVar("Result")


class Dialog(ModalScreen[Result]):
    """What all of them share."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key("escape", "give_up", "give up", "Close without an answer.", "dialog.give_up"),
        key("y", "answer(True)", "yes", "Answer yes.", "dialog.yes"),
        key("n", "answer(False)", "no", "Answer no.", "dialog.no"),
        key("left,right", "other", "other", "Go to the other button.", "dialog.other"),
    ]

    def action_give_up(self) -> None:
        """The careful answer."""
        self.dismiss(None)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Yes and no are keys of `Confirm` only."""
        return isinstance(self, Confirm) if action in {"answer", "other"} else True


class Confirm(Dialog[bool]):
    """Yes or no; no has the focus, since Enter is pressed in passing."""

    def __init__(self, question: str, detail: str = "") -> None:
        super().__init__()
        self._question, self._detail = question, detail

    def compose(self) -> ComposeResult:
        """The question, its detail, two buttons."""
        with Vertical(classes="dialog"):
            yield Static(safe(self._question), classes="question")
            if self._detail:
                with VerticalScroll(classes="detail", can_focus=False):
                    yield Static(safe(self._detail))
            with Horizontal(classes="buttons"):
                yield Button("No (n)", id="no", compact=True)
                yield Button("Yes (y)", id="yes", variant="primary", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        """Answer by key."""
        self.dismiss(answer)

    def action_give_up(self) -> None:
        """Not to answer is no."""
        self.dismiss(False)

    def action_other(self) -> None:
        """There are only two."""
        self.focus_next()


class Choose(Dialog[str | None]):
    """One of several."""

    def __init__(self, question: str, options: Sequence[str]) -> None:
        super().__init__()
        self._question, self._options = question, list(options)

    def compose(self) -> ComposeResult:
        """The question and the list."""
        with Vertical(classes="dialog"):
            yield Static(safe(self._question), classes="question")
            yield OptionList(*(Option(safe(each)) for each in self._options), compact=True)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Answer."""
        self.dismiss(self._options[event.option_index])


class Prompt(Dialog[str | None]):
    """A line of text."""

    def __init__(self, question: str, default: str = "") -> None:
        super().__init__()
        self._question, self._default = question, default

    def compose(self) -> ComposeResult:
        """The question and the input."""
        with Vertical(classes="dialog"):
            yield Static(safe(self._question), classes="question")
            yield Input(self._default)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Answer."""
        self.dismiss(event.value)
