"""What `/inspect` shows in the terminal chat. Textual is imported with this module only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from chatapp import Data, visible
from chatapp_inspect.facts import mega
from chatapp_inspect.tokens import answer_heading, group_heading, prompt_heading, shown

TURNS = ("on $primary-muted", "on $secondary-muted")
"""The colours of neighbouring tokens."""
HINT = "← → token · ↑ ↓ the next uncertain one · Home End · Esc back"


def widget_for(part: Data) -> Widget | None:
    """The widget for a part of this plugin."""
    if part.name == "inspect.model":
        return ModelFacts(part.value)
    if part.name == "inspect.tokens":
        return PromptTokens(part.value)
    return AnswerTokens(part.value) if part.name == "inspect.answer" else None


class ModelFacts(Vertical):
    """The facts of a model and its tensor types, as two tables."""

    DEFAULT_CSS = "ModelFacts { height: auto; } ModelFacts Static { height: auto; margin: 0 0 1 0; }"

    def __init__(self, value: dict[str, Any]) -> None:
        super().__init__()
        self._value = value

    def compose(self) -> ComposeResult:
        """Path, facts, types."""
        yield Static(Content(visible(self._value["path"])))
        facts = [(each["name"], each["value"], each["meaning"]) for each in self._value["facts"]]
        yield Static(_table(("", "value", "what it means"), facts))
        types = [
            (each["type"], f"{each['tensors']:,}", mega(each["bytes"]), f"{each['bits']:.2f}")
            for each in self._value["types"]
        ]
        yield Static(_table(("type", "tensors", "size", "bits per weight"), types))


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Table:
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for place, head in enumerate(heads):
        made.add_column(head, no_wrap=place == 0, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


class PromptTokens(Vertical):
    """The tokens of a prompt, neighbours in different colours, below the message they belong to."""

    DEFAULT_CSS = """
    PromptTokens { height: auto; }
    PromptTokens Static { height: auto; }
    PromptTokens .whose { text-style: bold; margin: 1 0 0 0; }
    """

    def __init__(self, value: dict[str, Any]) -> None:
        super().__init__()
        self._value = value

    def compose(self) -> ComposeResult:
        """A heading and the tokens of each message."""
        yield Static(Content(prompt_heading(self._value)))
        for group in self._value["messages"]:
            yield Static(Content(group_heading(group)), classes="whose")
            pieces = [(_broken(token), TURNS[place % 2]) for place, token in enumerate(group["tokens"])]
            yield Static(Content.assemble(*pieces))


def _broken(token: str) -> str:
    """A token as it is shown, its line breaks also broken."""
    return shown(token).replace("↵", "↵\n")


class AnswerTokens(Vertical, can_focus=True):
    """The tokens of an answer coloured by probability, with a cursor and the alternatives of the token under it."""

    DEFAULT_CSS = """
    AnswerTokens { height: auto; }
    AnswerTokens Static { height: auto; }
    AnswerTokens #token { margin: 1 0 0 0; }
    AnswerTokens #keys { color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1)", "token before"),
        Binding("right", "move(1)", "token after"),
        Binding("up", "uncertain(-1)", "uncertain before"),
        Binding("down", "uncertain(1)", "uncertain after"),
        Binding("home", "jump(0)", "first token"),
        Binding("end", "jump(-1)", "last token"),
    ]

    def __init__(self, value: list[dict[str, Any]]) -> None:
        super().__init__()
        self._value = value
        self.place = 0
        """The token under the cursor, from 0."""

    def compose(self) -> ComposeResult:
        """The answer, then what is known of one token."""
        yield Static(Content(answer_heading(self._value)))
        yield Static(id="answer")
        yield Static(id="token")
        yield Static(HINT, id="keys")

    def on_mount(self) -> None:
        """Take the arrow keys at once: who asked for this wants to look around in it."""
        self._show()
        self.focus()

    def action_move(self, by: int) -> None:
        """A token on or back."""
        self.place = min(max(self.place + by, 0), len(self._value) - 1)
        self._show()

    def action_jump(self, place: int) -> None:
        """To the first token, or the last."""
        self.place = place % len(self._value)
        self._show()

    def action_uncertain(self, by: int) -> None:
        """To the next token that was less likely than all others together."""
        ahead = range(self.place + by, len(self._value) if by > 0 else -1, by)
        self.place = next((each for each in ahead if self._value[each]["probability"] < 0.5), self.place)
        self._show()

    def _show(self) -> None:
        pieces = [
            (_broken(each["token"]), f"reverse {style}" if place == self.place else style)
            for place, each in enumerate(self._value)
            for style in (style_of(each["probability"]),)
        ]
        self.query_one("#answer", Static).update(Content.assemble(*pieces))
        self.query_one("#token", Static).update(self._details())

    def _details(self) -> Content:
        each = self._value[self.place]
        lines = [f"Token {self.place + 1} of {len(self._value)}: {shown(each['token'])}  {each['probability']:.1%}"]
        for text, chance in each["alternatives"]:
            drawn = "  (drawn)" if text == each["token"] else ""
            lines.append(f"  {chance:7.1%} {'█' * round(chance * 20):20} {shown(text)}{drawn}")
        return Content("\n".join(lines))


def style_of(probability: float) -> str:
    """How a token of this probability looks; the least likely are underlined too, for those who see no colours."""
    steps = ((0.9, ""), (0.5, "on $success-muted"), (0.2, "on $warning-muted"))
    return next((style for least, style in steps if probability >= least), "underline on $error-muted")
