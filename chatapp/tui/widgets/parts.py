"""One widget for each kind of part."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text as RichText
from textual.widget import Widget
from textual.widgets import Static

from chatapp.messages import Data, Media, Part, Reasoning, Source, Text, ToolCall, ToolResult
from chatapp.text import one_line, visible
from chatapp.tui.safe import line, safe
from chatapp.tui.widgets.answer import AnswerText
from chatapp.tui.widgets.fold import Fold, text_fold
from chatapp.tui.widgets.thought import Thought

TITLE_WIDTH = 120
"""Longest title of a fold, in terminal cells; the screen cuts it further."""


def part_widget(part: Part, *, markdown: bool = True, numbers: Collection[int] = ()) -> Widget:
    """The widget that shows a part; text as Markdown, in which these citations can be opened, or as it was typed."""
    if isinstance(part, Text):
        return AnswerText(part.text, numbers) if markdown else Static(safe(part.text), classes="plain-text")
    return _MAKERS[type(part)](part)


def _call(part: ToolCall) -> Widget:
    arguments = json.dumps(dict(part.arguments), ensure_ascii=False, indent=2, default=str)
    short = ", ".join(f"{key}={value!r}" for key, value in part.arguments.items())
    return text_fold(one_line(f"Calls {part.name}({short})", TITLE_WIDTH), arguments, classes="tool")


def _result(part: ToolResult) -> Widget:
    mark, state = ("✗", "tool -failed") if part.failed else ("✓", "tool")
    return text_fold(one_line(f"{mark} {part.name}: {part.text}", TITLE_WIDTH), part.text, classes=state)


def _source(part: Source) -> Widget:
    number = f"[{part.number}] " if part.number is not None else ""
    score = f" · {part.score:.2f}" if part.score is not None else ""
    count = len(part.text.splitlines())
    size = f" · {count:,} line{'s' * (count != 1)}" if part.number is None else ""
    where = f", {part.locator}" if part.locator else ""
    return text_fold(one_line(f"{number}{part.title}{where}{score}{size}", TITLE_WIDTH), part.text, classes="source")


def _media(part: Media) -> Widget:
    kind = part.mime.partition("/")[0].capitalize() or "File"
    return Static(line((f"{kind} ", "bold"), (part.path, "underline"), f"\n{part.alt}" if part.alt else ""))


def _data(part: Data) -> Widget:
    rows = part.value
    if (
        isinstance(rows, list)
        and rows
        and all(isinstance(row, Mapping) and row.keys() == rows[0].keys() for row in rows)
    ):
        return Static(_table(rows), classes="table")
    return Static(safe(part.text or f"({part.name})"), classes="plain-text")


def _table(rows: list[Mapping[str, Any]]) -> Table:
    """Rows by column name as a table that wraps to the width there is."""
    made = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", expand=False)
    for place, column in enumerate(rows[0]):
        made.add_column(RichText(visible(column)), overflow="fold", no_wrap=place == 0)
    for row in rows:
        made.add_row(*(RichText(visible("" if cell is None else str(cell))) for cell in row.values()))
    return made


_MAKERS: dict[type[Any], Callable[[Any], Widget]] = {
    Reasoning: Thought,
    ToolCall: _call,
    ToolResult: _result,
    Source: _source,
    Media: _media,
    Data: _data,
}

__all__ = ["Fold", "part_widget"]
