"""The file of what is remembered: Markdown that a person may edit, one fact for each line that begins with a dash.

Everything else in it (headings, notes, blank lines) stays as it is: a change touches only the lines of its own fact.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chatapp import UsageError, read_text, visible, write_private

LARGEST = 200_000
"""Bytes of the largest file that is read; what is remembered is far less."""
HEADING = """# What chatapp remembers

Each line that begins with a dash is read by the model in every conversation. Edit as you like.

"""
_ITEM = re.compile(r" {0,3}[-*+][ \t]+(?P<text>\S.*)")
_MORE = re.compile(r"[ \t]+(?P<text>\S.*)")


def clean(text: str) -> str:
    """A fact as it is kept: on one line, control characters made visible; UsageError when nothing is left."""
    flat = visible(" ".join(text.split()))
    if not flat:
        raise UsageError("Say what to remember, for instance: /remember I prefer short answers.")
    return flat


def about_tokens(text: str) -> int:
    """About how many tokens a fact is: one for four bytes of UTF-8, and one for its dash."""
    return -(-len(text.encode("utf-8", "replace")) // 4) + 1


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact and the lines of the file it stands on, from `begin` to before `end`."""

    text: str
    begin: int
    end: int


class Notebook:
    """The facts in the file at `path`. Every method reads the file anew, as a person may have edited it.

    The methods block for as long as the disk takes: call them in a thread.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def texts(self) -> list[str]:
        """What is remembered, in the order of the file."""
        return [fact.text for fact in _facts(self._lines())]

    def add(self, text: str) -> None:
        """Append a fact."""
        lines = self._lines()
        self._write([*(lines or HEADING.splitlines()), f"- {text}"])

    def insert(self, place: int, text: str) -> None:
        """Put a fact back before the one that is now at `place` (from 0), or at the end."""
        lines = self._lines()
        facts = _facts(lines)
        if place >= len(facts):
            self.add(text)
        else:
            begin = facts[place].begin
            self._write([*lines[:begin], f"- {text}", *lines[begin:]])

    def replace(self, place: int, text: str) -> None:
        """Another text for the fact at `place` (from 0)."""
        self._swap(place, [f"- {text}"])

    def remove(self, place: int) -> None:
        """Take the fact at `place` (from 0) out."""
        self._swap(place, [])

    def _swap(self, place: int, with_lines: Sequence[str]) -> None:
        lines = self._lines()
        fact = _facts(lines)[place]
        self._write([*lines[: fact.begin], *with_lines, *lines[fact.end :]])

    def _write(self, lines: Sequence[str]) -> None:
        write_private(self.path, "\n".join(lines).rstrip("\n") + "\n")

    def _lines(self) -> list[str]:
        return read_text(self.path, LARGEST).splitlines() if self.path.exists() else []


def _facts(lines: Sequence[str]) -> list[Fact]:
    facts: list[Fact] = []
    for number, line in enumerate(lines):
        if item := _ITEM.fullmatch(line):
            facts.append(Fact(clean(item["text"]), number, number + 1))
        elif facts and facts[-1].end == number and (more := _MORE.fullmatch(line)):
            # A person may break a long line: what is indented below it belongs to it.
            facts[-1] = Fact(clean(f"{facts[-1].text} {more['text']}"), facts[-1].begin, number + 1)
    return facts
