"""Test collections in the layout of BEIR (Thakur et al. 2021): corpus.jsonl, queries.jsonl, qrels/NAME.tsv."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatapp import UsageError, read_text

LARGEST = 2_000_000_000
"""Bytes of the largest file that is read."""


@dataclass(frozen=True, slots=True)
class TestCollection:
    """Documents by id as (title, text), queries by id, and for each judged query how relevant which documents are."""

    __test__ = False

    documents: Mapping[str, tuple[str, str]]
    queries: Mapping[str, str]
    judged: Mapping[str, Mapping[str, int]]


def load(folder: Path, split: str) -> TestCollection:
    """Read a folder; UsageError, with file and line, when it is not in that layout. Blocks."""
    documents = {
        str(row["_id"]): (str(row.get("title") or ""), str(row["text"]))
        for row in _rows(folder / "corpus.jsonl", ("_id", "text"))
    }
    queries = {str(row["_id"]): str(row["text"]) for row in _rows(folder / "queries.jsonl", ("_id", "text"))}
    judged = {query: found for query, found in _judgements(folder, split).items() if query in queries}
    if not judged:
        raise UsageError(f"No query of {folder / 'queries.jsonl'} is judged in qrels/{split}.tsv.")
    return TestCollection(documents, queries, judged)


def _rows(path: Path, needed: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(read_text(path, LARGEST).splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise UsageError(f"{path}, line {number}: this is no JSON ({error}).") from None
        if not isinstance(row, dict) or any(key not in row for key in needed):
            raise UsageError(f"{path}, line {number}: a row has to be an object with {' and '.join(needed)}.")
        yield row


def _judgements(folder: Path, split: str) -> dict[str, dict[str, int]]:
    path = folder / "qrels" / f"{split}.tsv"
    found: dict[str, dict[str, int]] = {}
    for number, line in enumerate(read_text(path, LARGEST).splitlines(), 1):
        cells = line.split("\t")
        if number == 1 and not cells[-1].strip().isdigit():
            continue  # the names of the columns
        if len(cells) != 3 or not cells[2].strip().lstrip("-").isdigit():
            raise UsageError(f"{path}, line {number}: a row is query, document and score between tabs.")
        if int(cells[2]) > 0:
            found.setdefault(cells[0], {})[cells[1]] = int(cells[2])
    return found


def splits(folder: Path) -> list[str]:
    """The names of the judgements there are."""
    return sorted(path.stem for path in (folder / "qrels").glob("*.tsv"))


def ndcg(ranked: Sequence[str], relevant: Mapping[str, int], depth: int = 10) -> float:
    """Normalized discounted cumulative gain (Järvelin and Kekäläinen 2002), as trec_eval computes it: 0 to 1."""
    gain = sum(relevant.get(document, 0) / math.log2(place + 2) for place, document in enumerate(ranked[:depth]))
    best = sorted(relevant.values(), reverse=True)[:depth]
    return gain / sum(value / math.log2(place + 2) for place, value in enumerate(best))


def recall(ranked: Sequence[str], relevant: Mapping[str, int], depth: int = 10) -> float:
    """Share of the relevant documents that are among the first `depth`."""
    return len(set(ranked[:depth]) & relevant.keys()) / len(relevant)
