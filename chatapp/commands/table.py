"""Tables: aligned text for people, rows by column name for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chatapp.messages import Data
from chatapp.text import visible


def table(name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], empty: str = "Nothing.") -> Data:
    """A Data part named `name`: its value is a list of objects, its text the aligned table, or `empty` without rows."""
    value = [dict(zip(columns, row, strict=True)) for row in rows]
    if not rows:
        return Data(name, value, empty)
    cells = [[visible("" if cell is None else str(cell)).replace("\n", " ") for cell in row] for row in rows]
    widths = [max(len(row[place]) for row in [list(columns), *cells]) for place in range(len(columns))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [[column.upper() for column in columns], *cells]
    ]
    return Data(name, value, "\n".join(lines))
