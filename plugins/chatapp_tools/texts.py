"""The text of a file with what must stay when it is written back: its encoding, its mark at the beginning, its line
ends."""

from __future__ import annotations

import codecs
import hashlib
from dataclasses import dataclass

from chatapp import UsageError, human_bytes
from chatapp_tools.access import Reached, opened, shown_path

LARGEST = 1_000_000
"""Bytes of the longest text that is read or written."""
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


@dataclass(frozen=True, slots=True)
class Content:
    """The text of a file as it is there, line ends included; `mark` are the bytes before it."""

    text: str
    encoding: str = "utf-8"
    mark: bytes = b""

    @property
    def crlf(self) -> bool:
        r"""Whether all its lines end in ``\r\n``."""
        return "\n" in self.text and self.text.count("\r\n") == self.text.count("\n")

    def with_text(self, text: str) -> Content:
        r"""Another text in the same form; the line ends of `text`, ``\n``, become the file's where it has but one."""
        plain = text.replace("\r\n", "\n")
        return Content(plain.replace("\n", "\r\n") if self.crlf else text, self.encoding, self.mark)

    def data(self) -> bytes:
        """The bytes of the file; UsageError where the text holds what no encoding has, half a character."""
        try:
            return self.mark + self.text.encode(self.encoding)
        except UnicodeEncodeError as error:
            raise UsageError("The text holds half a character (a lone surrogate): write it without.") from error


def decoded(data: bytes) -> Content | None:
    """The text in `data`: UTF-8 or, with a mark, UTF-16; None where it is none."""
    mark, encoding = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", "utf-8"))
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text or text.startswith(("%PDF-", "{\\rtf")) else Content(text, encoding, mark)


def read_content(reached: Reached) -> tuple[Content, bytes]:
    """The text of a file and its bytes; UsageError in one sentence where it is too large or no text. Blocks."""
    with opened(reached) as file:
        data = file.read(LARGEST + 1)
    shown = shown_path(reached.path)
    if len(data) > LARGEST:
        raise UsageError(f"{shown} is larger than {human_bytes(LARGEST)}: use search_files to find the part you need.")
    content = decoded(data)
    if content is None:
        raise UsageError(f"{shown} is not a text in UTF-8, so it cannot be read or changed as text.")
    return content, data


def digest(data: bytes) -> str:
    """What names these bytes: their SHA-256."""
    return hashlib.sha256(data).hexdigest()
