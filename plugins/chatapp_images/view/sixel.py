"""Pictures as Sixel, one stripe for each line of text, so that every line can be drawn, scrolled and cut by itself.

Source: VT330/VT340 Programmer Reference Manual, volume 2, chapter 14.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.strip import Strip

if TYPE_CHECKING:
    from PIL.Image import Image

COLOURS = 128
BAND = 6
"""Rows of pixels that one letter holds."""
_PRINTABLE = bytes(min(value + 0x3F, 255) for value in range(256))
_RUN = re.compile(rb"(.)\1{3,}", re.DOTALL)


def sixels(image: Image, columns: int, rows: int) -> list[Strip]:
    """The lines of an RGB image whose height is `rows` times that of a cell.

    The cursor is put back and moved on by hand: terminals differ in where a picture leaves it.
    """
    from PIL import Image as Images

    paletted = image.quantize(COLOURS, method=Images.Quantize.MEDIANCUT, dither=Images.Dither.NONE)
    palette, data = paletted.getpalette() or [], paletted.tobytes()
    width, tall = image.width, image.height // rows
    lines = []
    for row in range(rows):
        stripe = data[row * tall * width : (row + 1) * tall * width]
        text = f"\x1b7{_stripe(stripe, width, palette)}\x1b8\x1b[{columns}C"
        lines.append(Strip([Segment(text)], columns))
    return lines


def _stripe(data: bytes, width: int, palette: list[int]) -> str:
    height = len(data) // width
    used = sorted(set(data))
    colours = "".join(
        "#{};2;{};{};{}".format(each, *(round(value / 2.55) for value in palette[each * 3 : each * 3 + 3]))
        for each in used
    )
    bands = [_band(data[top * width : (top + BAND) * width], width) for top in range(0, height, BAND)]
    # The 1 leaves what the last band has below the stripe as it is: it belongs to the next line.
    return f'\x1bP0;1;0q"1;1;{width};{height}{colours}{"-".join(bands)}\x1b\\'


def _band(data: bytes, width: int) -> str:
    """Six rows: one pass over the line for each colour in them."""
    rows = [data[begin : begin + width] for begin in range(0, len(data), width)]
    passes = []
    for colour in sorted(set(data)):
        bits = 0
        for place, row in enumerate(rows):
            bits |= int.from_bytes(row.translate(_only(colour, 1 << place)), "big")
        letters = bits.to_bytes(width, "big").translate(_PRINTABLE)
        passes.append(f"#{colour}{_RUN.sub(_repeated, letters).decode('ascii')}")
    return "$".join(passes)


def _repeated(run: re.Match[bytes]) -> bytes:
    return b"!%d%b" % (len(run[0]), run[1])


@lru_cache(maxsize=COLOURS * BAND)
def _only(colour: int, bit: int) -> bytes:
    """A table that turns one colour into a bit and all others into none."""
    table = bytearray(256)
    table[colour] = bit
    return bytes(table)
