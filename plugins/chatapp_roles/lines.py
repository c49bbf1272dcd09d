"""Which line of a TOML file a value is on, so that an error can name it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_HEAD = re.compile(r"\s*\[(\[?)\s*([^\[\]]+?)\s*\]")
_KEY = re.compile(r"\s*\"?([\w-]+)\"?\s*=")
_AT = re.compile(r"\(at line (\d+), column \d+\)")


def line_of(text: str, place: Sequence[int | str]) -> int:
    """The line, from 1, of the value at `place` (``("sampling", "top_p")``, ``("examples", 1, "user")``).

    Where the value itself is missing it is the line of the table that should hold it, else the first.
    """
    wanted = tuple(place)
    found = {where: number for number, where in _places(text)}
    while wanted and wanted not in found:
        wanted = wanted[:-1]
    return found.get(wanted, 1)


def line_in(error: str, text: str) -> int:
    """The line that tomllib's message names; the last one where it says "end of document"."""
    match = _AT.search(error)
    return int(match[1]) if match else max(len(text.splitlines()), 1)


def without_line(error: str) -> str:
    """tomllib's message without its place."""
    return re.sub(r"\s*\(at [^)]*\)", "", error).rstrip(".")


def _places(text: str) -> Iterator[tuple[int, tuple[int | str, ...]]]:
    """(line, place) of each table and key, outside of multi-line strings."""
    table: tuple[int | str, ...] = ()
    counts: dict[str, int] = {}
    closing = ""
    for number, line in enumerate(text.splitlines(), 1):
        if closing:
            closing = "" if closing in line else closing
            continue
        head, key = _HEAD.match(line), _KEY.match(line)
        if head:
            name = head[2]
            counts[name] = counts.get(name, -1) + 1
            table = (name, counts[name]) if head[1] else tuple(name.split("."))
            yield number, table
        elif key:
            yield number, (*table, key[1])
        closing = next((quotes for quotes in ('"""', "'''") if line.count(quotes) % 2), "")
