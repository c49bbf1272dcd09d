"""What was sent: each block of the latest prompt, who added it, how long it is, and how much the engine could reuse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from chatapp.context import Piece
from chatapp.events import Usage
from chatapp.text import one_line
from chatapp.tui.keys import key
from chatapp.tui.safe import line, lines
from chatapp.tui.widgets.status import bar
from chatapp.turn import Turn


class SentPanel(Vertical):
    """A list of the pieces; choosing one shows its whole text."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key("enter", "open", "open", "Show the whole text of a block.", "sent.open"),
    ]

    class Opened(Message):
        """A piece was chosen, to read it whole."""

        def __init__(self, piece: Piece) -> None:
            self.piece = piece
            super().__init__()

    def __init__(self) -> None:
        super().__init__(id="sent")
        self.pieces: Sequence[Piece] = ()

    def compose(self) -> ComposeResult:
        """A summary above the list."""
        yield Static("Nothing was sent yet.", id="sent-summary")
        yield OptionList(id="sent-list", compact=True)

    def show_turn(self, turn: Turn | None) -> None:
        """Show what this turn's model read."""
        self.pieces = turn.sent if turn is not None else ()
        self.query_one("#sent-summary", Static).update(summary(self.pieces, turn.usage if turn is not None else None))
        options = self.query_one("#sent-list", OptionList)
        options.set_options(Option(row(piece)) for piece in self.pieces)
        options.display = bool(self.pieces)
        options.highlighted = 0 if self.pieces else None

    def action_open(self) -> None:
        """Show the highlighted one."""
        self.query_one("#sent-list", OptionList).action_select()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Tell the screen."""
        event.stop()
        self.post_message(self.Opened(self.pieces[event.option_index]))


def summary(pieces: Sequence[Piece], usage: Usage | None) -> Content:
    """What the whole prompt cost, and what the colours mean."""
    if not pieces:
        return line(("Nothing was sent yet.", "dim"))
    if usage is None:
        return line((f"{sum(piece.tokens for piece in pieces):,} tokens, not answered yet", "dim"))
    first = f"first token after {usage.first_token_seconds:.1f} s"
    return lines(
        [
            line((f"{usage.prompt_tokens:,}", "bold"), " tokens, ", (first, "dim")),
            line(
                ("■ ", "$success"),
                f"{usage.reused_tokens:,} reused  ",
                ("■ ", "$warning"),
                f"{usage.evaluated_tokens:,} read anew",
            ),
        ]
    )


def row(piece: Piece) -> Content:
    """Two lines: the title with who added it, and the tokens as a bar of reused and read anew."""
    title = line((one_line(piece.title, 30), "bold"), (f"  {one_line(piece.plugin, 16)}", "dim"))
    if piece.reused is None:
        return lines([title, line((f"{piece.tokens:,} tokens", "dim"))])
    share = piece.reused / piece.tokens if piece.tokens else 1.0
    full = bar(share, 10)
    meter = line((full.replace("─", ""), "$success"), ("━" * full.count("─"), "$warning"))
    counts = line((f"  {piece.tokens:,} tokens, {piece.reused:,} reused", "dim"))
    return lines([title, Content("").join([meter, counts])])
