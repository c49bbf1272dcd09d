"""The list above the input: what could come next. It never has the focus; the composer steers it."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.message import Message
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from chatapp.completion import Candidate
from chatapp.text import one_line
from chatapp.tui.safe import line

WIDEST = 44
"""Cells for the names, on however wide a screen: what they do stands beside them."""


class Completion(OptionList, can_focus=False):
    """Shows candidates while there are any."""

    class Taken(Message):
        """A candidate was clicked."""

        def __init__(self, candidate: Candidate) -> None:
            self.candidate = candidate
            super().__init__()

    def __init__(self) -> None:
        super().__init__(id="completion", compact=True)
        self._candidates: Sequence[Candidate] = ()
        self.display = False

    @property
    def opened(self) -> bool:
        """Whether it is on the screen."""
        return self.display

    @property
    def chosen(self) -> Candidate | None:
        """The highlighted candidate."""
        return self._candidates[self.highlighted] if self.opened and self.highlighted is not None else None

    @property
    def first(self) -> Candidate | None:
        """The best candidate, which Tab takes where none is highlighted."""
        return self._candidates[0] if self.opened else None

    def offer(self, candidates: Sequence[Candidate]) -> None:
        """Show these, or nothing where there are none; the first is highlighted where the user has begun to type it."""
        self._candidates = candidates
        self.display = bool(candidates)
        self._fill()
        self.highlighted = 0 if candidates and candidates[0].sure else None

    def on_resize(self) -> None:
        """A row is one line, whatever the width."""
        place = self.highlighted
        self._fill()
        self.highlighted = place

    def _fill(self) -> None:
        room = max(self.app.size.width - 8, 20)
        width = max((min(len(each.label), min(max(24, room // 2), WIDEST)) for each in self._candidates), default=0)
        self.set_options(Option(_row(each, width, room)) for each in self._candidates)

    def close(self) -> None:
        """Show nothing."""
        self.offer(())

    def move(self, by: int) -> None:
        """Highlight the next or the one before, round and round."""
        place = self.highlighted
        self.highlighted = (
            (0 if by > 0 else -1) % len(self._candidates) if place is None else (place + by) % len(self._candidates)
        )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click takes."""
        event.stop()
        self.post_message(self.Taken(self._candidates[event.option_index]))


def _row(candidate: Candidate, width: int, room: int) -> Content:
    label = one_line(candidate.label, width)
    name, space, rest = label.ljust(width).partition(" ") if not label.startswith("/") else _command(label, width)
    return line((name, "bold"), space, (rest, "dim"), (f"  {one_line(candidate.detail, room - width - 2)}", "dim"))


def _command(label: str, width: int) -> tuple[str, str, str]:
    """A command's words, and its arguments apart: they are in capitals, in brackets or begin with a dash."""
    words = label.split(" ")
    count = next((place for place, word in enumerate(words) if word[:1] in "[-" or word.isupper()), len(words))
    name = " ".join(words[:count])
    return name, "", label.ljust(width)[len(name) :]
