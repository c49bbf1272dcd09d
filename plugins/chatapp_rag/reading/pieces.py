"""Places at which a text can be cut: pages, blocks that bound the work of a splitter, and runs that fit together."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

BLOCK: Final = 16_000
"""Characters that a splitter is given at once: its work grows faster than the text where a paragraph never ends."""
_CUTS = ("\n\n", "\n", ". ", " ")


class Piece(NamedTuple):
    """A stretch of text that becomes a chunk, and the headings it stands under."""

    start: int
    end: int
    path: tuple[str, ...] = ()


def blocks(text: str, start: int, end: int, size: int = BLOCK) -> Iterator[tuple[int, int]]:
    """The stretch in parts of at most `size` characters, cut at paragraphs where it can be, else lines, else words."""
    while end - start > size:
        middle, limit = start + size // 2, start + size
        cuts = ((text.rfind(cut, middle, limit), len(cut)) for cut in _CUTS)
        stop = next((place + length for place, length in cuts if place > 0), limit)
        yield start, stop
        start = stop
    if start < end:
        yield start, end


def code_blocks(text: str) -> Iterator[tuple[int, int]]:
    """A program in parts as `blocks` makes, cut where a line that is not indented follows a blank one if it can be."""
    places = [0, *(match.end() for match in re.finditer(r"\n\n(?=\S)", text)), len(text)]
    spans = list(pairwise(places))
    for start, end, _ in packed(spans, [end - start for start, end in spans], BLOCK):
        yield from blocks(text, start, end)


def cut_at(start: int, end: int, places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The stretch, cut at those of the ascending `places` that lie in it."""
    for place in places[bisect_right(places, start) :]:
        if place >= end:
            break
        yield start, place
        start = place
    if start < end:
        yield start, end


def packed(spans: Iterable[tuple[int, int]], sizes: Iterable[int], room: int) -> Iterator[tuple[int, int, int]]:
    """Neighbouring spans joined while their sizes add up to `room` at the most; yields start, end and size."""
    start = end = total = 0
    for (first, last), size in zip(spans, sizes, strict=True):
        if end > start and total + size <= room:
            end, total = last, total + size
            continue
        if end > start:
            yield start, end, total
        start, end, total = first, last, size
    if end > start:
        yield start, end, total


class Places:
    """Tells pages and lines, counted from 1, of offsets in a text."""

    def __init__(self, text: str, pages: Sequence[int], lined: bool) -> None:
        self._pages = pages
        self._breaks = [place for place, each in enumerate(text) if each == "\n"] if lined else None

    def page(self, place: int) -> int | None:
        """The page of an offset; None without pages."""
        return bisect_right(self._pages, place) or 1 if self._pages else None

    def line(self, place: int) -> int | None:
        """The line of an offset; None where the lines of the text are not those of the file."""
        return bisect_left(self._breaks, place) + 1 if self._breaks is not None else None
