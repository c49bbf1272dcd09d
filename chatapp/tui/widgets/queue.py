"""What was sent while an answer was under way, and waits its turn."""

from __future__ import annotations

from collections.abc import Sequence

from textual.widgets import Static

from chatapp.text import one_line
from chatapp.tui.safe import line, lines


class Queue(Static):
    """Hidden while nothing waits."""

    def __init__(self) -> None:
        super().__init__(id="queue")
        self.display = False

    def show(self, waiting: Sequence[str]) -> None:
        """One line for each."""
        self.display = bool(waiting)
        take_back = ("  Esc takes it back", "dim")
        self.update(lines(line(("queued  ", "$warning"), one_line(each, 56), take_back) for each in waiting))
