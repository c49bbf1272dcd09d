"""Pairs out of a CSV file: which columns they are in, and whether the first row names the columns."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from chatapp import UsageError
from chatapp_fewshot.reading import MOST, MOST_PROBLEMS, check, set_text

INPUTS = ("input", "text", "message", "question", "prompt", "query", "utterance", "source", "sentence", "request")
OUTPUTS = ("output", "label", "answer", "response", "category", "class", "intent", "target", "completion", "reply")
DELIMITERS = ",;\t|"
LOOKED_AT = 50


@dataclass(frozen=True, slots=True)
class Sheet:
    """The pairs of a CSV file; `columns` says which two were taken, `problems` which lines could not be."""

    pairs: tuple[tuple[str, str], ...]
    columns: str
    problems: tuple[str, ...]


def read_sheet(path: Path, question: str = "", answer: str = "") -> Sheet:
    """The pairs in a CSV file. `question` and `answer` name their columns, or number them from 1.

    Raises UsageError where the file holds no two columns, or none of those names.
    """
    text = set_text(path)
    rows = _rows(path, text, _delimiter(path, text))
    if not rows:
        raise UsageError(f"{path} holds no rows of two columns: it needs an input and an output in each.")
    head = [cell.strip() for cell in rows[0][1]]
    left, left_named = _column(path, head, question, INPUTS, 0)
    right, right_named = _column(path, head, answer, OUTPUTS, 1 if left != 1 else 0)
    if left == right:
        raise UsageError(f"{path}: input and output are the same column; name them with --input and --output.")
    named = left_named or right_named or _looks_like_names(rows, right)
    pairs, problems = _pairs(path, rows[1:] if named else rows, left, right)
    columns = f"{head[left]!r} and {head[right]!r}" if named else f"{left + 1} and {right + 1} (no row of names)"
    return Sheet(tuple(pairs), f"the columns {columns}", tuple(problems))


def _rows(path: Path, text: str, delimiter: str) -> list[tuple[int, list[str]]]:
    """(line it ends at, cells) of each row that is not empty."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows = []
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((reader.line_num, row))
    except csv.Error as error:
        raise UsageError(f"{path} line {reader.line_num}: this is not CSV: {error}.") from None
    return rows if any(len(cells) > 1 for _, cells in rows[:LOOKED_AT]) else []


def _delimiter(path: Path, text: str) -> str:
    """The character that cuts most of the first rows into the same number of cells, two at least."""

    def steadiness(delimiter: str) -> tuple[int, int]:
        try:
            sizes = [
                len(row)
                for row in islice(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), LOOKED_AT)
                if row
            ]
        except csv.Error:
            return 0, 0
        usual = max(set(sizes), key=sizes.count, default=0)
        return (sizes.count(usual), usual) if usual > 1 else (0, 0)

    return max(DELIMITERS, key=steadiness) if path.suffix != ".tsv" else "\t"


def _column(path: Path, head: Sequence[str], wanted: str, usual: Sequence[str], default: int) -> tuple[int, bool]:
    """The place of a column, and whether the first row named it."""
    names = [cell.casefold() for cell in head]
    if wanted.casefold() in names and wanted:
        return names.index(wanted.casefold()), True
    if wanted.isdigit() and 1 <= int(wanted) <= len(head):
        return int(wanted) - 1, False
    if wanted:
        raise UsageError(f"{path} has no column {wanted!r}; its first row is: {', '.join(head)[:200]}.")
    found = next((names.index(name) for name in usual if name in names), None)
    return (found, True) if found is not None else (min(default, len(head) - 1), False)


def _looks_like_names(rows: Sequence[tuple[int, list[str]]], right: int) -> bool:
    """With few different outputs, each used several times, a first one that never comes again is a name."""
    outputs = [cells[right].strip() for _, cells in rows if len(cells) > right]
    rest = outputs[1:]
    return len(rest) >= 4 and len(set(rest)) <= len(rest) // 2 and outputs[0] not in rest


def _pairs(
    path: Path, rows: Sequence[tuple[int, list[str]]], left: int, right: int
) -> tuple[list[tuple[str, str]], list[str]]:
    pairs: list[tuple[str, str]] = []
    problems: list[str] = []
    for line, cells in rows[:MOST]:
        try:
            if len(cells) <= max(left, right):
                raise ValueError("it has too few cells")
            pairs.append((check(cells[left], "input"), check(cells[right], "output")))
        except ValueError as error:
            problems.append(f"{path} line {line}: {error}; it is left out.")
    if len(problems) > MOST_PROBLEMS:
        problems[MOST_PROBLEMS:] = [f"{path}: {len(problems) - MOST_PROBLEMS} more lines cannot be used."]
    if len(rows) > MOST:
        problems.append(f"{path}: only the first {MOST:,} rows are taken.")
    return pairs, problems
