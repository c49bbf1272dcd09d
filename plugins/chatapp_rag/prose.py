"""Where in a Markdown text that comes character by character we are: in its prose, or in code or an address."""

from __future__ import annotations

import re

_FENCE = re.compile(r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*(?:(`{3,})[^`]*|(~{3,}).*)")
"""A line that opens a code block, whatever quote or list it stands in (CommonMark 0.31, 4.5)."""
_BLOCK = re.compile(r"[ \t>]*(?:[-*+]|\d{1,9}[.)]|#{1,6})")
"""What a list item or a heading begins with: it ends the paragraph before it."""


class Place:
    """Follows a text; code is fenced code and inline code, which ends at the latest with its paragraph."""

    def __init__(self) -> None:
        self._line = ""
        self._fence = ""
        self._span = 0
        self._ticks = 0
        self._escaped = False
        self._address = False

    @property
    def prose(self) -> bool:
        """Whether the last character is prose: in no code, in no link's address, and not escaped."""
        in_code = self._fence or self._span or self._line.lstrip(" \t>").startswith("~~~")
        return not (in_code or self._escaped or self._address)

    def take(self, character: str) -> None:
        """The next character."""
        if character == "`" and not self._fence and not (self._escaped_now() and not self._ticks):
            self._ticks += 1
            self._escaped = False
        else:
            self._end_ticks()
            self._escaped = self._escaped_now()
        if character == "\n":
            self._end_line()
        elif self._span and character == " " and _BLOCK.fullmatch(self._line):
            self._line, self._span = self._line + character, 0
        else:
            self._line += character
            self._follow_address(character)

    def _escaped_now(self) -> bool:
        """Whether a backslash, itself not escaped, stands right before."""
        before = len(self._line) - len(self._line.rstrip("\\"))
        return bool(before % 2) and not self._span

    def _end_ticks(self) -> None:
        """A run of backticks is over: it opens inline code, or closes that which a run as long has opened."""
        if self._ticks and not self._span:
            self._span = self._ticks
        elif self._ticks == self._span:
            self._span = 0
        self._ticks = 0

    def _follow_address(self, character: str) -> None:
        if self._address:
            self._address = character != ")"
        elif character == "(":
            self._address = self._line.endswith("](") and not self._span and not self._fence

    def _end_line(self) -> None:
        line, self._line, self._address = self._line, "", False
        if self._fence:
            closing = line.strip(" \t>")
            if closing.startswith(self._fence) and not closing.strip(self._fence[0]):
                self._fence = ""
        elif found := _FENCE.fullmatch(line):
            self._fence, self._span = found[1] or found[2], 0
        elif not line.strip(" \t>"):
            self._span = 0
