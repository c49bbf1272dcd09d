"""Show CSV files as tables."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Iterable
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

from chatapp import Action, Data, Part, Session, Source, UsageError, action, hookimpl, table, visible

MOST = 1000
"""Rows that are shown; a longer file is cut."""


def rows(text: str) -> list[list[str]]:
    """The rows of a CSV text, the names of its columns first, all of one length; empty for what is none."""
    delimiter = max(",;\t|", key=text.partition("\n")[0].count)
    if delimiter not in text.partition("\n")[0]:
        return []
    found = [row for row in islice(csv.reader(StringIO(text, newline=""), delimiter=delimiter), MOST + 1) if row]
    return [[*row, *[""] * len(found[0])][: len(found[0])] for row in found]


@action("csv")
async def show(session: Session, file: Annotated[Path, "A CSV file"]) -> Data:
    """Show a CSV file as a table."""
    try:
        found = rows(await asyncio.to_thread(file.read_text, encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read as text: {error}.") from None
    if not found:
        raise UsageError(f"{file} is no CSV file: it has no columns.")
    return table("csv.table", found[0], found[1:])


@hookimpl
def actions() -> Iterable[Action]:
    """Declare the command."""
    return [show]


@hookimpl
def render_part(part: Part) -> Any:
    """A table that scrolls, for a CSV file that is attached to a message."""
    found = rows(part.text) if isinstance(part, Source) and part.title.lower().endswith((".csv", ".tsv")) else []
    if not found:
        return None
    from rich.text import Text
    from textual.widgets import DataTable

    shown: DataTable[Text] = DataTable(zebra_stripes=True, cursor_type="row")
    shown.styles.max_height = 15
    shown.add_columns(*(Text(visible(name)) for name in found[0]))
    shown.add_rows([Text(visible(cell)) for cell in row] for row in found[1:])
    return shown
