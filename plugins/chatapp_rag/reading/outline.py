"""The headings and tables of Markdown, as places in the text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)$")
_NO_TITLE = re.compile(r" {0,3}([-*+>|#]|\d+[.)]|`{3}|~{3})|[ \t]*$| {4}|\t")
_RULE = re.compile(r" {0,3}\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$")
_MARKS = re.compile(r"(?<!\\)[*_`]{1,3}(?=\S)|(?<=\S)(?<!\\)[*_`]{1,3}(?!\w)|\\(?=[^\w\s])")


class Section(NamedTuple):
    """A stretch of text, from its heading to the next, and the headings above it with its own as the last."""

    start: int
    end: int
    path: tuple[str, ...]


class Table(NamedTuple):
    """A table: where it begins, where its first record does, where it ends; and its names of columns."""

    start: int
    body: int
    end: int
    columns: str


def sections(text: str) -> list[Section]:
    """The sections of a text, in order and without gaps; the first has no heading if text comes before any."""
    found: list[Section] = []
    path: list[tuple[int, str]] = []
    start = 0
    for place, level, title in _headings(text):
        if place > start:
            found.append(Section(start, place, tuple(name for _, name in path)))
        path = [*(each for each in path if each[0] < level), (level, title)]
        start = place
    return [*found, Section(start, len(text), tuple(name for _, name in path))]


def _lines(text: str) -> Iterator[tuple[int, str]]:
    place = 0
    while place < len(text):
        end = text.find("\n", place)
        end = len(text) if end < 0 else end
        yield place, text[place:end]
        place = end + 1


def _headings(text: str) -> Iterator[tuple[int, int, str]]:
    fence = ""
    # The line before, where an underline would make it a heading: a paragraph of this one line.
    title: tuple[int, str] | None = None
    inside = False
    for place, line in _lines(text):
        found = _FENCE.match(line)
        if fence or found:
            fence = _fence(fence, found)
            title, inside = None, False
            continue
        heading, under = _ATX.match(line), _UNDERLINE.match(line)
        if heading:
            yield place, len(heading[1]), _plain(heading[2] or "")
        elif under and title:
            yield title[0], 1 if under[1][0] == "=" else 2, _plain(title[1])
        title = None if heading or under or inside or _NO_TITLE.match(line) else (place, line)
        inside = bool(line.strip()) and not heading and not under


def _fence(fence: str, found: re.Match[str] | None) -> str:
    if not fence:
        # A fence of backticks with another behind it on its line is code within a sentence.
        return "" if found is None or (found[1][0] == "`" and "`" in found[2]) else found[1]
    closes = found is not None and found[1][0] == fence[0] and len(found[1]) >= len(fence) and not found[2].strip()
    return "" if closes else fence


def _plain(title: str) -> str:
    return " ".join(_MARKS.sub("", title).split())


def tables(text: str) -> Iterator[Table]:
    """The tables of a text, which have bars between their columns."""
    lines = list(_lines(text))
    at = 1
    while at < len(lines):
        names, rule = lines[at - 1][1], lines[at][1]
        if not ("|" in names and "|" in rule and _RULE.match(rule)):
            at += 1
            continue
        last = at + 1
        while last < len(lines) and "|" in lines[last][1]:
            last += 1
        end = lines[last][0] if last < len(lines) else len(text)
        body = lines[at + 1][0] if at + 1 < len(lines) else len(text)
        yield Table(lines[at - 1][0], body, end, " ".join(names.strip().strip("|").split()))
        at = last + 1
