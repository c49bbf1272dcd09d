"""Text that is safe to show: control characters and escape sequences are made visible, never interpreted."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import islice

HIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u206f\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
"""What `visible` replaces: C0 and C1 controls, line separators, bidi overrides and isolates, interlinear marks, lone
surrogates (undecodable bytes of a file name) and tag characters."""

# The flags of England, Scotland and Wales are the only emoji that Unicode recommends with tag characters in them.
_FLAG = re.compile(
    "(\U0001f3f4\U000e0067\U000e0062(?:{}|{}|{})\U000e007f)".format(
        *("".join(chr(0xE0000 + ord(letter)) for letter in nation) for nation in ("eng", "sct", "wls"))
    )
)
_WORD = re.compile(r"\S+")


def visible(text: str) -> str:
    r"""Make every control character and escape sequence in `text` harmless for a terminal.

    Newlines and tabs stay, ``\r\n`` becomes ``\n``. Other C0 controls and DEL become their control pictures (``␛``,
    ``␍``), everything else in `HIDDEN` its Python notation (``\x9b``, ``\u202e``). Joiners stay, so emoji sequences
    and scripts that need them are unharmed. Applying it twice changes nothing more. A stream shown piece by piece
    shows a ``\r\n`` that was cut in two as ``␍`` and a new line.
    """
    if HIDDEN.search(text) is None:
        return text
    pieces = _FLAG.split(text.replace("\r\n", "\n"))
    table = _pictures()
    return "".join(piece if place % 2 else piece.translate(table) for place, piece in enumerate(pieces))


def one_line(text: str, width: int) -> str:
    """The beginning of `text` on one line of at most `width` terminal cells, white space collapsed, made visible.

    Ends in an ellipsis when something was left out. An emoji sequence counts as the sum of its parts, so the line can
    turn out narrower than `width`, never wider.
    """
    if width <= 0:
        return ""
    flat = visible(" ".join(match.group() for match in islice(_WORD.finditer(text), width + 1)))
    used = 0
    fitting = 0
    for place, character in enumerate(flat):
        used += _cells(character)
        if used > width:
            return flat[:fitting].rstrip(" \u200d") + "…"
        if used < width:
            fitting = place + 1
    return flat


@cache
def _pictures() -> dict[int, str]:
    """What stands for each character of `HIDDEN`, for `str.translate`; made when first needed, since few need it."""
    table = {code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A)}
    table[0x7F] = "␡"
    table |= {code: f"\\x{code:02x}" for code in range(0x80, 0xA0)}
    for first, last in ((0x2028, 0x202E), (0x2066, 0x206F), (0xFFF9, 0xFFFB), (0xD800, 0xDFFF)):
        table |= {code: f"\\u{code:04x}" for code in range(first, last + 1)}
    return table | {code: f"\\U{code:08x}" for code in range(0xE0000, 0xE0080)}


def _cells(character: str) -> int:
    """How many terminal cells one character takes: 0 when it combines with the one before, 2 when it is wide."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
