"""A download as it goes: a bar, how much of how much, how fast, how long still."""

from __future__ import annotations

from textual.widgets import Static

from chatapp.events import Progress
from chatapp.progress import Rate, describe, fraction
from chatapp.text import one_line
from chatapp.tui.safe import line, lines
from chatapp.tui.widgets.status import bar


class Download(Static):
    """Hidden while nothing goes on."""

    def __init__(self) -> None:
        super().__init__(classes="download")
        self.display = False
        self._rate = Rate()
        self._label = ""

    def report(self, progress: Progress) -> None:
        """Show how far it is."""
        if progress.label != self._label:
            self._rate, self._label = Rate(), progress.label
        self._rate.feed(progress.done, progress.total)
        width = max(10, min(60, (self.size.width or 70) - 10))
        share = fraction(progress)
        percent = f" {share * 100:3.0f} %" if share is not None else ""
        self.update(
            lines(
                [
                    line((one_line(progress.label, width + 6), "bold")),
                    line((bar(share or 0.0, width), "$primary"), percent),
                    line((describe(progress, self._rate) or "…", "dim"), ("   Esc cancels", "dim")),
                ]
            )
        )
        self.display = True

    def close(self) -> None:
        """It is over."""
        self.display = False
        self._label = ""
