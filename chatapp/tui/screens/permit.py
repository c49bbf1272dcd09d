"""The question whether a tool may do something: exactly what it will do, and for how long that is allowed."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from chatapp.consent import Ask
from chatapp.text import visible
from chatapp.tui.keys import key
from chatapp.tui.safe import safe
from chatapp.ui import answers_to

STYLES = {"+": "$text-success", "-": "$text-error", "@": "$text-accent"}
"""How the lines of a diff are shown, by what they begin with."""


class Permit(ModalScreen[str | None]):
    """Gives the chosen answer in words (`answers_to`), None for Escape; no has the focus."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key("escape", "give_up", "no", "Do not allow it.", "permit.give_up"),
        key("pageup", "scroll(-8)", "up", "Look further up in what will happen.", "permit.page_up"),
        key("pagedown", "scroll(8)", "down", "Look further down in what will happen.", "permit.page_down"),
    ]

    def __init__(self, ask: Ask) -> None:
        super().__init__()
        self._ask = ask
        self._answers = list(answers_to(ask))

    def compose(self) -> ComposeResult:
        """The question, what will happen, the answers."""
        with Vertical(classes="dialog permit"):
            yield Static(safe(self._ask.question), classes="question")
            if self._ask.detail:
                with VerticalScroll(classes="detail", can_focus=False):
                    yield Static(content_of(self._ask))
            if self._ask.dangers:
                yield Static("The marked parts can do harm.", classes="danger")
            yield OptionList(*(Option(safe(each)) for each in self._answers), compact=True)

    def on_mount(self) -> None:
        """Enter is pressed in passing: it must not allow anything."""
        answers = self.query_one(OptionList)
        answers.highlighted = self._answers.index("No")
        answers.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Answer."""
        self.dismiss(self._answers[event.option_index])

    def action_give_up(self) -> None:
        """Not to answer is no."""
        self.dismiss(None)

    def action_scroll(self, lines: int) -> None:
        """Move what will happen by some lines."""
        for detail in self.query(".detail"):
            detail.scroll_relative(y=lines, animate=False)


def content_of(ask: Ask) -> Content:
    """The detail, a diff coloured by line, dangerous parts marked."""
    lines = visible(ask.detail).split("\n")
    if ask.shown_as == "diff":
        return Content("\n").join([Content.styled(line, STYLES.get(line[:1], "")) for line in lines])
    shown = Content("\n".join(lines))
    for danger in ask.dangers:
        place = shown.plain.find(danger)
        while danger and place >= 0:
            shown = shown.stylize("bold $text-error underline", place, place + len(danger))
            place = shown.plain.find(danger, place + len(danger))
    return shown
