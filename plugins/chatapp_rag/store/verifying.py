"""Checks of a stored collection: what is there against what should be, and approximate against exact search."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chatapp_rag.collection import Collection
from chatapp_rag.store import ann
from chatapp_rag.store.database import Database

NORM_OFF = 0.01
"""How far from 1 the length of a stored vector may be: half precision rounds."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, whether it is well, and what was seen."""

    name: str
    good: bool
    said: str


def verify(database: Database, identity: str, tune: bool) -> Iterator[Check]:
    """Look at files, vectors, words and recall. With `tune` a bad index is made anew or dropped."""
    yield _files(database, identity)
    yield _vectors(database.chunks(identity), database.collection(identity))
    yield _words(database.chunks(identity))
    yield _recall(database, identity, tune)


def _files(database: Database, identity: str) -> Check:
    digests = database.chunks(identity).search().select(["digest"]).limit(None).to_arrow()["digest"]
    held = Counter(digests.to_pylist())
    entries = database.entries(identity)
    short = [entry.path for entry in entries if held[entry.digest] < entry.chunks]
    double = [entry.path for entry in entries if entry.chunks and held[entry.digest] > entry.chunks]
    loose = len(held.keys() - {entry.digest for entry in entries})
    wrong = [
        *([f"{len(short)} files lack chunks, the first is {short[0]}"] if short else []),
        *([f"{len(double)} files have chunks twice, the first is {double[0]}"] if double else []),
        *([f"the chunks of {loose} removed files wait for the next sweep"] if loose else []),
    ]
    if short or double:
        return Check("files", False, "; ".join(wrong) + ": `rag add` mends it.")
    return Check("files", True, "; ".join([f"{len(entries):,} files, {len(digests):,} chunks", *wrong]) + ".")


def _vectors(chunks: Any, collection: Collection) -> Check:
    import numpy as np

    bad = total = 0
    for batch in chunks.search().select(["vector"]).limit(None).to_batches():
        rows = batch.column("vector")
        values = np.asarray(rows.flatten(), dtype="float64").reshape(len(rows), -1)
        with np.errstate(invalid="ignore", over="ignore"):
            norms = np.linalg.norm(values, axis=1)
        bad += int((~(np.abs(norms - 1) < NORM_OFF)).sum())
        total += len(rows)
    if bad:
        return Check(
            "vectors", False, f"{bad:,} of {total:,} vectors are damaged: remove the collection and add again."
        )
    return Check("vectors", True, f"{total:,} vectors of {collection.dimensions} dimensions, all of unit length.")


def _words(chunks: Any) -> Check:
    index = next((index for index in chunks.list_indices() if index.columns == ["text"]), None)
    if index is None:
        rows = chunks.count_rows()
        return Check("words", not rows, "No full-text index: `rag add` makes it." if rows else "Nothing to index yet.")
    stats = chunks.index_stats(index.name)
    left = int(stats.num_unindexed_rows)
    said = f"{int(stats.num_indexed_rows):,} chunks in the full-text index"
    # Rows outside the index are searched one by one: slower, not wrong.
    return Check("words", True, f"{said}, {left:,} not yet." if left else f"{said}.")


def _recall(database: Database, identity: str, tune: bool) -> Check:
    collection, chunks = database.collection(identity), database.chunks(identity)
    if not collection.ann:
        return Check("search", True, "Vectors are searched exactly: recall@10 is 1 by definition.")
    recall = ann.measured(chunks, collection)
    said = f"recall@{ann.TOP} of the vector index is {recall:.3f} of exact search"
    if recall >= ann.RECALL:
        return Check("search", True, f"{said[0].upper()}{said[1:]}.")
    if not tune:
        return Check("search", False, f"{said[0].upper()}{said[1:]}, below {ann.RECALL}.")
    found = list(ann.build(chunks))[-1]
    database.change(identity, {"ann": found})
    outcome = f"made anew it is {json.loads(found)['recall']:.3f}" if found else "it was dropped, search is exact now"
    return Check("search", True, f"{said[0].upper()}{said[1:]}, below {ann.RECALL}; {outcome}.")
