"""Pictures by Kitty's graphics protocol with Unicode placeholders.

The terminal is sent the picture once; the cells then hold a private letter whose colour is the picture's number and
whose marks say which row and column of it belongs there, so a picture scrolls and is covered as text is.
Source: https://sw.kovidgoyal.net/kitty/graphics-protocol/#unicode-placeholders
"""

from __future__ import annotations

import base64
import io
import random
from collections.abc import Iterator
from functools import cache
from itertools import count
from typing import TYPE_CHECKING

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

if TYPE_CHECKING:
    from PIL.Image import Image

PLACEHOLDER = "\U0010eeee"
CHUNK = 4096
"""Letters of a picture in one message to the terminal."""
# Kitty's file rowcolumn-diacritics.txt: the mark of row or column 0, 1, 2 and so on.
_MARKS = (
    "305 30d-30e 310 312 33d-33f 346 34a-34c 350-352 357 35b 363-36f 483-487 592-595 597-599 59c-5a1 5a8-5a9 5ab-5ac "
    "5af 5c4 610-617 657-65b 65d-65e 6d6-6dc 6df-6e2 6e4 6e7-6e8 6eb-6ec 730 732-733 735-736 73a 73d 73f-741 743 745 "
    "747 749-74a 7eb-7f1 7f3 816-819 81b-823 825-827 829-82d 951 953-954 f82-f83 f86-f87 135d-135f 17dd 193a 1a17 "
    "1a75-1a7c 1b6b 1b6d-1b73 1cd0-1cd2 1cda-1cdb 1ce0 1dc0-1dc1 1dc3-1dc9 1dcb-1dcc 1dd1-1de6 1dfe"
)
_numbers = count(random.randrange(1, 1 << 23))


def placeholders(columns: int, rows: int, number: int) -> list[Strip]:
    """The cells in which the terminal draws picture `number`; at most as many each way as there are marks."""
    style = Style(color=Color.from_rgb(number >> 16 & 255, number >> 8 & 255, number & 255))
    marks = _marks()
    return [
        Strip([Segment(f"{PLACEHOLDER}{marks[row]}{marks[column]}", style) for column in range(columns)], columns)
        for row in range(rows)
    ]


def new_number() -> int:
    """A number for a picture. It is at most 24 bits long, as much as a colour holds."""
    return next(_numbers) % ((1 << 24) - 1) + 1


def most() -> int:
    """The most rows or columns a picture can have."""
    return len(_marks())


def transmission(image: Image, columns: int, rows: int, number: int) -> str:
    """What sends a picture to the terminal and says in how many cells it is drawn. No answer is asked for."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    pieces = list(_messages(data, f"a=t,f=100,i={number},q=2"))
    return "".join([*pieces, f"\x1b_Ga=p,U=1,i={number},c={columns},r={rows},q=2\x1b\\"])


def removal(number: int) -> str:
    """What makes the terminal forget the picture."""
    return f"\x1b_Ga=d,d=I,i={number},q=2\x1b\\"


def _messages(data: str, keys: str) -> Iterator[str]:
    for begin in range(0, len(data), CHUNK):
        more = int(begin + CHUNK < len(data))
        yield f"\x1b_G{keys if begin == 0 else 'q=2'},m={more};{data[begin : begin + CHUNK]}\x1b\\"


@cache
def _marks() -> tuple[str, ...]:
    found: list[str] = []
    for piece in _MARKS.split():
        first, _, last = piece.partition("-")
        found += [chr(code) for code in range(int(first, 16), int(last or first, 16) + 1)]
    return tuple(found)
