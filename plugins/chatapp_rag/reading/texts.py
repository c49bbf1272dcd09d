"""Files that are text already: prose, Markdown, code, tables of records and notebooks. Their lines stay as they are."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from typing import Any

from chatapp_rag.documents import Document
from chatapp_rag.reading.decoding import decoded
from chatapp_rag.reading.kinds import CODE, MARKDOWN, ROWS, Unreadable

_STATED = re.compile(rb"^[^\n]{0,20}?coding[:=][ \t]*([-\w.]+)", re.M)
_TITLE = re.compile(r"^# +(.+?)[ #]*$", re.M)
_LINES = 400
"""Lines that one quoted record may have; a longer one is a stray quotation mark."""


def read_text(data: bytes, end: str) -> Document:
    """The document of a text file with this ending; `Unreadable` for what is no text, or has none."""
    stated = _STATED.search(data[:200]) if end in CODE else None
    text = decoded(data, stated[1].decode("ascii", "ignore") if stated else "")
    if not text.strip():
        raise Unreadable("has no text")
    if end == "ipynb":
        return _notebook(text)
    if end in ROWS:
        return Document(text, "rows", header=_header(text, end), lined=True)
    if end in MARKDOWN:
        found = _TITLE.search(text)
        return Document(text, "markdown", found[1] if found else "", lined=True)
    if end in CODE:
        return Document(text, "code", language=CODE[end], lined=True)
    return Document(text, lined=True)


def records(text: str) -> Iterator[tuple[int, int]]:
    """Where the records of a table of separated values begin and end, line break included.

    A record has several lines where a quoted field has; a quotation mark that is never closed ends with its line.
    """
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    if starts[-1] < len(text):
        starts.append(len(text))
    delimiter = separator(text[:20_000])
    at = 0
    while at < len(starts) - 1:
        taken = _lines_of_record(text, starts, at, delimiter)
        yield starts[at], starts[at + taken]
        at += taken


def _lines_of_record(text: str, starts: list[int], at: int, delimiter: str) -> int:
    first = text[starts[at] : starts[at + 1]]
    if first.count('"') % 2 == 0:
        return 1
    end = min(at + _LINES, len(starts) - 1)
    lines = [text[starts[place] : starts[place + 1]] for place in range(at, end)]
    reader = csv.reader(iter(lines), delimiter=delimiter)
    try:
        csv.field_size_limit(2**31 - 1)
        next(reader)
    except (csv.Error, StopIteration):
        return 1
    closed = "".join(lines[: reader.line_num]).count('"') % 2 == 0
    return max(1, reader.line_num) if closed else 1


def separator(text: str) -> str:
    """What stands between the fields: of comma, semicolon, tab and bar, the one that is on most lines equally often."""
    lines = [line for line in text.split("\n")[:20] if line.strip()]
    scores = {}
    for each in ",;\t|":
        counts = [line.count(each) for line in lines]
        scores[each] = (sum(1 for count in counts if count and count == counts[0]), sum(counts))
    return max(scores, key=lambda each: scores[each])


def _header(text: str, end: str) -> str:
    if end in ("jsonl", "ndjson"):
        return ""
    start, stop = next(records(text))
    line = text[start:stop].rstrip("\n")
    fields = next(csv.reader([line.replace("\n", " ")], delimiter=separator(text[:20_000])), [])
    named = all(field.strip() and not _number(field) for field in fields)
    return line if len(fields) > 1 and named and len(set(fields)) == len(fields) else ""


def _number(text: str) -> bool:
    return bool(re.fullmatch(r"[\s\d.,:/%€$£+-]*\d[\s\d.,:/%€$£+-]*", text))


def _notebook(text: str) -> Document:
    try:
        book = json.loads(text)
        sheets = book.get("worksheets", [book])
        cells = [cell for sheet in sheets for cell in sheet["cells"]]
        language = str(book.get("metadata", {}).get("kernelspec", {}).get("language", "python"))
        parts = [part for cell in cells for part in _cell(cell, language)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable("is damaged or cut off: it is no notebook of Jupyter") from error
    whole = "\n\n".join(part for part in parts if part.strip()).replace("\0", "")
    # JSON can spell half a character, which no encoding has.
    whole = whole.encode("utf-8", "replace").decode("utf-8")
    if not whole:
        raise Unreadable("has no text")
    found = _TITLE.search(whole)
    return Document(whole, "markdown", found[1] if found else "")


def _cell(cell: dict[str, Any], language: str) -> Iterator[str]:
    source = _text(cell.get("source", cell.get("input", "")))
    if cell.get("cell_type") != "code":
        yield source
        return
    yield _fenced(source, language)
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        shown = _text(output.get("text", data.get("text/markdown", data.get("text/plain", ""))))
        yield _fenced(shown, "text")
        if output.get("ename"):
            yield _fenced(f"{output['ename']}: {output.get('evalue', '')}", "text")


def _fenced(text: str, language: str) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text.rstrip()}\n{fence}" if text.strip() else ""


def _text(value: Any) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else str(value)
