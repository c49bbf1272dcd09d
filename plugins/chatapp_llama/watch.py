"""Seeing where a call of a tool begins in what a model writes, also where it does not begin as its template shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

THOUGHT = "<think>", "</think>"


def _in_part(atoms: Sequence[str]) -> str:
    """A pattern of every beginning of these atoms in a row."""
    return "(?:" + "(?:".join(atoms) + ")?" * len(atoms)


def _heads() -> list[list[str]]:
    """What small models put before a call's name instead of what their template shows, as rows of patterns."""
    tag = ["<", r"[\w|]{1,20}", ">", r"\s*"]
    fence = ["`", "`", "`", r"\w{0,12}", r"\s*"]
    kind = ["{", r"\s*", *'"type"', r"\s*", ":", r"\s*", *'"function"', r"\s*", ",", r"\s*"]
    inner = [*'"function"', r"\s*", ":", r"\s*", "{", r"\s*"]
    opened = (["{", r"\s*"], ["[{[]", r"\s*", "{", r"\s*"], kind, [*kind, *inner])
    keys = ("name", "function", "tool", "tool_name", "function_name")
    return [
        [r"\s*", *before, *wrapped, *opening, *f'"{key}"', r"\s*", ":", r"\s*", '"']
        for before in ([], tag)
        for wrapped in ([], fence)
        for opening in opened
        for key in keys
    ]


HEAD = re.compile("|".join("".join(atoms) for atoms in _heads()))
HEAD_IN_PART = re.compile("|".join(_in_part(atoms) for atoms in _heads()))
TAIL = [r'[^"\n]{0,80}', '"', r"\s*", ",", r"\s*", '"']
UNKNOWN = re.compile("".join(TAIL) + "(?:arg|param)")
UNKNOWN_IN_PART = re.compile("|".join(_in_part([*TAIL, *key]) for key in ("arg", "param")))
"""What follows the name of a tool that there is not."""


class Watch:
    """Text on its way to the reader; holds back what may be the beginning of a call.

    A call begins with the form's marker anywhere, or on a line of its own with JSON that names one of the tools; JSON
    that gives arguments to another name is taken for a call of a tool that there is not.
    """

    def __init__(self, marker: str, names: Sequence[str], begun: str = "") -> None:
        self.text = ""
        self.found: Literal["", "call", "unknown"] = ""
        self._marker, self._names, self._begun = marker, names, begun
        self._held = ""

    def feed(self, text: str) -> str:
        """What may be shown now; `found` says that a call begins after it."""
        if not self._names:
            return text
        self._held += text
        if self._thinking():
            return self._give(len(self._held))
        places = range(len(self._held))
        begun = next((place for place in places if self._begins(place)), None)
        self.found = self._begins(begun) if begun is not None else ""
        if begun is None:
            begun = next((place for place in places if self._may_begin(place)), len(self._held))
        return self._give(len(self._held[:begun].rstrip()))

    def rest(self) -> str:
        """What was held back, when no more comes."""
        return self._give(len(self._held))

    def again(self) -> str:
        """Take what was held back for never written; what the answer is to go on from."""
        gap = "\n\n" if self.text.strip() else ""
        self._held, self.found = gap, ""
        return self.text + gap

    def _give(self, count: int) -> str:
        given, self._held = self._held[:count], self._held[count:]
        self.text += given
        return given

    def _thinking(self) -> bool:
        opened, closed = ((self._begun + self.text + self._held).count(tag) for tag in THOUGHT)
        return opened > closed

    def _on_a_line(self, place: int) -> bool:
        before = (self.text + self._held[:place]).rstrip(" ")
        return not before or before.endswith("\n")

    def _begins(self, place: int) -> Literal["", "call", "unknown"]:
        tail = self._held[place:]
        if self._marker and tail.startswith(self._marker):
            return "call"
        head = HEAD.match(tail) if self._on_a_line(place) else None
        if head is None:
            return ""
        name, quote, _ = tail[head.end() :].partition('"')
        if quote and name in self._names:
            return "call"
        return "unknown" if UNKNOWN.match(tail, head.end()) else ""

    def _may_begin(self, place: int) -> bool:
        tail = self._held[place:]
        if self._marker.startswith(tail):
            return True
        if not self._on_a_line(place):
            return False
        head = HEAD.match(tail)
        rest = UNKNOWN_IN_PART.fullmatch(tail, head.end()) if head else HEAD_IN_PART.fullmatch(tail)
        return rest is not None
