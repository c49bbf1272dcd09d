"""What an answer cites: the line of its sources, each of which opens, and how any citation asks to be opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.style import Style
from textual.widget import Widget

from chatapp.messages import Source
from chatapp.text import one_line
from chatapp.tui.keys import key
from chatapp.tui.safe import line, lines, safe
from chatapp.ui import named

LABEL = "Sources  "
LONGEST = 90
"""Cells for one source, on however wide a screen."""


class Cited(Message):
    """The citation `number` was clicked or chosen, to be opened."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__()


class Citations(Widget, can_focus=True):
    """The sources of an answer, side by side and as many lines as they need; those of a file stand together."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key("left", "step(-1)", "before", "Choose the source before.", "sources.before"),
        key("right", "step(1)", "next", "Choose the next source.", "sources.next"),
        key("enter,space", "open", "open", "Open the chosen source.", "sources.open"),
    ]
    chosen = reactive(0)

    def __init__(self, sources: Sequence[Source] = ()) -> None:
        super().__init__()
        # Each piece of text says itself where it can be clicked, and is coloured here.
        self.auto_links = False
        self._sources: list[Source] = []
        for source in sources:
            self.add(source)

    def add(self, source: Source) -> None:
        """One more; it stands behind the last of the same file."""
        files = [_file(each) for each in self._sources]
        place = len(files) - files[::-1].index(_file(source)) if _file(source) in files else len(files)
        self._sources.insert(place, source)
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as the sources take at this width."""
        return len(self._lines(width))

    def render(self) -> Content:
        """The lines at the width there is."""
        return lines(self._lines(self.content_size.width))

    def on_focus(self) -> None:
        """The chosen one stands out."""
        self.refresh()

    def on_blur(self) -> None:
        """None stands out any more."""
        self.refresh()

    def action_step(self, by: int) -> None:
        """Choose another."""
        self.chosen = min(max(self.chosen + by, 0), len(self._sources) - 1)

    def action_open(self, number: int | None = None) -> None:
        """Open the chosen one, or the one that was clicked."""
        self.post_message(Cited(self._sources[self.chosen].number or 0 if number is None else number))

    def _lines(self, width: int) -> list[Content]:
        """The sources in lines of at most `width` cells."""
        room = max(width - len(LABEL), 12)
        found: list[list[Content]] = [[]]
        used, before = 0, None
        for place, source in enumerate(self._sources):
            together = before == _file(source)
            piece, gap = self._piece(place, room, short=together), " · " if together else "  "
            if used and used + len(gap) + piece.cell_length > room:
                piece, gap, used = self._piece(place, room), "", 0
                found.append([])
            elif not used:
                gap = ""
            found[-1] += [safe(gap, "dim"), piece]
            used, before = used + len(gap) + piece.cell_length, _file(source)
        labels = [LABEL, *[" " * len(LABEL)] * (len(found) - 1)]
        return [Content("").join([safe(label, "dim"), *row]) for label, row in zip(labels, found, strict=True)]

    def _piece(self, place: int, room: int, *, short: bool = False) -> Content:
        """One source: its number and where it is from, of a file that was named already only the place in it."""
        source = self._sources[place]
        number = f"[{source.number}]"
        name = source.locator if short and source.locator else named(source)
        title = one_line(name, min(room - len(number) - 1, LONGEST))
        shown = line((number, "$accent bold"), " ", title)
        if self.has_focus and place == self.chosen:
            shown = shown.stylize("reverse")
        return shown.stylize(Style.from_meta({"@click": f"open({source.number})"}))


def numbered(sources: Sequence[object]) -> Iterator[Source]:
    """Those parts that are sources with a number."""
    return (part for part in sources if isinstance(part, Source) and part.number is not None)


def _file(source: Source) -> str:
    return source.uri or source.title
