"""Bytes to text, in whatever encoding they were written.

What is sure is tried first: the mark at the beginning, UTF-8, and the zero bytes of UTF-16. Of the libraries that guess
the older encodings, chardet 7 (0BSD) was right on 3,219 of 3,235 texts of 60 to 3,000 bytes in 23 languages and 19
encodings, chardetng on 3,126 and charset-normalizer on 2,579.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from chatapp_rag.reading.kinds import Unreadable

_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_SAMPLE: Final = 200_000
# Encodings of old mainframes, Macintoshes and rare regions: a short text is taken for one of them by mistake.
_NAMES: Final = (
    "utf-7 cp1140 cp424 cp500 cp875 cp1026 cp273 mac-cyrillic mac-greek mac-iceland mac-latin2 mac-roman mac-turkish "
    "cp720 cp1006 cp1125 koi8-t kz1048 ptcp154 hp-roman8 cp737 cp775 cp855 cp856 cp857 cp858 cp860 cp861 cp862 cp863 "
    "cp864 cp865 cp869 iso8859-3 iso8859-4 iso8859-10 iso8859-13 iso8859-14 iso8859-16 johab"
)
_NOT: Final = frozenset(_NAMES.split())
# What programs write under these names is in fact the larger set, as browsers know.
_LARGER: Final = {
    "ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "shift_jis_2004": "cp932", "euc_kr": "cp949",
}  # fmt: skip
_BEYOND = re.compile("[^\x00-\x7f]")
_ODD = re.compile(rb"[\x00-\x06\x0e-\x1a\x1c-\x1f]")
_CONTROL = re.compile("[\x00-\x06\x0e-\x1a\x1c-\x1f]")


def decoded(data: bytes, stated: str = "") -> str:
    """The text, with ``\\n`` for every line end and without zero characters; `stated` is the encoding the file names.

    `Unreadable` for what is no text in any encoding.
    """
    text = _decoded(data, stated)
    if len(_CONTROL.findall(text, 0, _SAMPLE)) > max(8, min(len(text), _SAMPLE) // 50):
        raise Unreadable("is not text: it holds binary data")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _decoded(data: bytes, stated: str) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    if b"\x1b$B" in data or b"\x1b$@" in data:
        # ISO-2022-JP is ASCII with escapes, so that it would pass for UTF-8.
        return _guessed(data)
    wide = _wide(data)
    for encoding in (wide, "" if wide else "utf-8", stated):
        text = _try(data, encoding)
        if text is not None:
            return text
    return _mended(data) or _guessed(data)


def _mended(data: bytes) -> str:
    """UTF-8 in which a few bytes are damaged, as at the end of a file that was cut; "" for what is no UTF-8."""
    text = data.decode("utf-8", "replace")
    good = len(_BEYOND.findall(text)) - (bad := text.count("\ufffd"))
    return text if bad * 20 <= good else ""


def _try(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding) if encoding else None
    except (UnicodeDecodeError, LookupError):
        return None


def _wide(data: bytes) -> str:
    """UTF-16 or UTF-32 without a mark: most of the high bytes are zero, or all of one value in other alphabets."""
    head = data[: min(len(data), 4096) // 4 * 4]
    # A stray zero in a text of single bytes is none of these; the high bytes of most alphabets are control characters.
    odd = len(_ODD.findall(data, 0, 4096))
    if odd * (10 if _try(data, "utf-8") is not None else 100) < min(len(data), 4096):
        return ""
    zeros = [head[place::4].count(0) for place in range(4)]
    quarter = len(head) // 4
    if quarter and min(zeros[2], zeros[3]) > quarter * 0.9 and zeros[0] < quarter * 0.5:
        return "utf-32-le"
    if quarter and min(zeros[0], zeros[1]) > quarter * 0.9 and zeros[3] < quarter * 0.5:
        return "utf-32-be"
    head = data[: min(len(data), 4096) // 2 * 2]
    if b"\0" not in head or len(data) % 2:
        return ""
    low, high = head[::2].count(0), head[1::2].count(0)
    return "utf-16-le" if high > 2 * low else "utf-16-be" if low > 2 * high else ""


def _guessed(data: bytes) -> str:
    import chardet

    guess = chardet.detect(_sample(data), exclude_encodings=_NOT, compat_names=False)
    name = guess["encoding"]
    if name is None:
        raise Unreadable("is not text in any known encoding")
    # A few damaged bytes in a large file must not make all of it unreadable.
    text = data.decode(_LARGER.get(name, name), "replace")
    if text.count("\ufffd") > max(2, len(text) // 200):
        raise Unreadable("is not text in any known encoding")
    return text


def _sample(data: bytes) -> bytes:
    """The part to judge by: from the line with the first byte that is not ASCII."""
    found = re.search(rb"[\x80-\xff\x1b]", data)
    start = data.rfind(b"\n", 0, found.start()) + 1 if found else 0
    return data[max(start, (found.start() if found else 0) - 1000) :][:_SAMPLE]
