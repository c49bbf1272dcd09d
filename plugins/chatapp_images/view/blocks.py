"""Pictures as half blocks: each cell is ``▀``, its upper pixel the colour of the letter, its lower one that behind."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

if TYPE_CHECKING:
    from PIL.Image import Image

BLOCK = "▀"


def half_blocks(image: Image) -> list[Strip]:
    """A line for every two rows of an RGB image; Textual takes the colours down to what the terminal has."""
    width, height = image.size
    data = image.tobytes()
    pixels = [data[place : place + 3] for place in range(0, len(data), 3)]
    return [
        _line(pixels[row * width : (row + 1) * width], pixels[(row + 1) * width : (row + 2) * width])
        for row in range(0, height - 1, 2)
    ]


def _line(upper: list[bytes], lower: list[bytes]) -> Strip:
    """Cells of the same colours are one piece."""
    segments: list[Segment] = []
    begin, cells = 0, list(zip(upper, lower, strict=True))
    for place in range(1, len(cells) + 1):
        if place == len(cells) or cells[place] != cells[begin]:
            segments.append(Segment(BLOCK * (place - begin), _style(*cells[begin])))
            begin = place
    return Strip(segments, len(cells))


@lru_cache(maxsize=4096)
def _style(upper: bytes, lower: bytes) -> Style:
    return Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower))
