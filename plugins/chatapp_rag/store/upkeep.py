"""What a collection needs after changes: leftovers deleted, its pieces merged, its indexes brought up to date."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from chatapp_rag.store import ann
from chatapp_rag.store.database import Database, sliced
from chatapp_rag.store.schema import quoted
from chatapp_rag.store.searching import make_words

KEPT = timedelta(hours=1)
"""How long old versions of a table stay: another process may be reading them."""

LOOSE, PIECES = 500, 32
"""Chunks outside the full-text index, and pieces of the table, that are left as they are: merging writes all chunks of
100,000 again, 240 MB in two seconds, which each saved file that is watched would set off."""


def sweep(database: Database, identity: str, exact_up_to: int) -> Iterator[str]:
    """Do it all, saying what is being done. Safe to break off at any point: the next one goes on."""
    chunks, files = database.chunks(identity), database.files(identity)
    yield "Removing what no file holds"
    mend(database, identity)
    yield "Merging what was added"
    files.optimize(cleanup_older_than=KEPT)
    if _worth_merging(chunks):
        chunks.optimize(cleanup_older_than=KEPT)
    collection = database.collection(identity)
    rows = chunks.count_rows()
    if rows and not any(index.columns == ["text"] for index in chunks.list_indices()):
        yield "Indexing the words"
        make_words(chunks, collection.language)
    if rows <= exact_up_to:
        if ann.has_index(chunks):
            ann.drop(chunks)
        if collection.ann:
            database.change(identity, {"ann": ""})
    elif not ann.has_index(chunks) or not collection.ann:
        found = ""
        for step in ann.build(chunks):
            found = step
            if not step.startswith("{") and step:
                yield step
        database.change(identity, {"ann": found})


def _worth_merging(chunks: Any) -> bool:
    """Whether so much was added since the last time that searches would be slower for it."""
    index = next((index for index in chunks.list_indices() if index.columns == ["text"]), None)
    if index is None or chunks.index_stats(index.name).num_unindexed_rows > LOOSE:
        return True
    return int(chunks.stats().get("fragment_stats", {}).get("num_fragments", 0)) > PIECES


def mend(database: Database, identity: str) -> int:
    """Delete chunks that no file holds and chunks that are there twice; returns how many digests it mended."""
    chunks = database.chunks(identity)
    held = Counter(chunks.search().select(["digest"]).limit(None).to_arrow()["digest"].to_pylist())
    wanted = {entry.digest: entry.chunks for entry in database.entries(identity) if entry.chunks}
    orphans = [digest for digest in held if digest not in wanted]
    for part in sliced(orphans):
        chunks.delete(f"digest IN ({quoted(part)})")
    double = [digest for digest, count in wanted.items() if held[digest] > count]
    for digest in double:
        _single(chunks, digest)
    return len(orphans) + len(double)


def _single(chunks: Any, digest: str) -> None:
    """Keep one of each chunk of a file that two processes added at once."""
    where = f"digest = '{digest}'"
    rows = chunks.search().where(where).limit(None).to_arrow()
    first: dict[int, int] = {}
    for place, ordinal in enumerate(rows["ordinal"].to_pylist()):
        first.setdefault(ordinal, place)
    kept = rows.select(chunks.schema.names).take(sorted(first.values()))
    # Between these two steps the file has no chunks; the next add sees that and reads it again.
    chunks.delete(where)
    chunks.add(kept)


def size_of(table: Any) -> int:
    """Bytes of a table's data; 0 where the server does not say."""
    stats = table.stats()
    return int(stats["total_bytes"]) if "total_bytes" in stats else 0
