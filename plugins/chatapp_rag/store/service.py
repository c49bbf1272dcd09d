"""The service in the child process: everything that touches LanceDB."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chatapp import Job
from chatapp_rag.collection import Collection, Entry, Found, Hit, Stats
from chatapp_rag.documents import Chunk
from chatapp_rag.store.database import Database, connect, sliced
from chatapp_rag.store.schema import chunks as chunk_schema
from chatapp_rag.store.schema import quoted

PLACED = ("heading", "page", "first_line", "last_line")
"""Columns that are fields of a chunk."""
COMPACTED = 32
"""Commits after which the pieces of the files' table are merged: each commit looks into all of them."""


class Service:
    """Holds one database. Every method takes the job first; see `chatapp.Job`."""

    _database: Database

    def __init__(self) -> None:
        self._staged: dict[str, list[Any]] = {}
        self._digests: dict[str, tuple[int, Counter[str]]] = {}
        self._commits = 0

    def open(self, job: Job, uri: str, options: Mapping[str, str], key: str, host: str) -> None:
        """Open the database; see `connect`."""
        # Whatever this process writes is the user's alone, also below a folder that others may enter.
        os.umask(0o077)
        self._database = Database(connect(uri, options, key, host))

    def collections(self, job: Job) -> list[Collection]:
        """See `Database.collections`."""
        return self._database.collections()

    def create(self, job: Job, name: str, model: str, asked: str, dimensions: int) -> Collection:
        """See `Database.create`."""
        return self._database.create(name, model, asked, dimensions)

    def change(self, job: Job, identity: str, changes: Mapping[str, Any]) -> Collection:
        """See `Database.change`."""
        return self._database.change(identity, changes)

    def drop(self, job: Job, identity: str) -> None:
        """See `Database.drop`."""
        self._database.drop(identity)

    def entries(self, job: Job, identity: str) -> Iterator[list[Entry]]:
        """Every file of a collection, some hundred at a time: a frame has a length limit."""
        every = self._database.entries(identity)
        for start in range(0, len(every), 1000):
            yield every[start : start + 1000]

    def stats(self, job: Job, identity: str) -> Stats:
        """How much a collection holds."""
        from chatapp_rag.store.upkeep import size_of

        entries = self._database.entries(identity)
        chunks = self._database.chunks(identity)
        reasons = tuple((entry.path, entry.reason) for entry in entries if entry.reason)
        return Stats(len(entries) - len(reasons), len(reasons), chunks.count_rows(), size_of(chunks), reasons)

    def present(self, job: Job, identity: str) -> dict[str, int]:
        """How many chunks are stored for each digest."""
        return dict(self._counts(identity))

    def stage(self, job: Job, identity: str, digest: str, first: int, chunks: Sequence[Chunk], vectors: bytes) -> None:
        """Hold chunks of a file, `first` the ordinal of the first, until `commit` writes whole files."""
        import numpy as np
        import pyarrow as pa

        width = len(vectors) // 4 // len(chunks)
        values = pa.array(np.frombuffer(vectors, dtype="<f4"))
        columns = {
            "digest": [digest] * len(chunks),
            "ordinal": range(first, first + len(chunks)),
            "text": [chunk.embedded for chunk in chunks],
            **{name: [getattr(chunk, name) for chunk in chunks] for name in PLACED},
            "vector": pa.FixedSizeListArray.from_arrays(values, width),
        }
        table = pa.table(columns, schema=chunk_schema(width))
        self._staged.setdefault(identity, []).append(table)

    def commit(self, job: Job, identity: str, entries: Sequence[Entry]) -> None:
        """Write what is staged in one step, then the rows of its files: a file is in the index whole or not at all."""
        import pyarrow as pa

        staged = self._staged.pop(identity, [])
        if staged:
            counts = self._counts(identity)
            whole = pa.concat_tables(staged)
            table = self._database.chunks(identity)
            table.add(whole)
            counts.update(whole["digest"].to_pylist())
            self._digests[identity] = (table.version, counts)
        if entries:
            self._database.put(identity, entries)
            self._commits += 1
            if self._commits % COMPACTED == 0:
                self._database.files(identity).optimize()

    def discard(self, job: Job, identity: str) -> None:
        """Forget what is staged."""
        self._staged.pop(identity, None)

    def forget(self, job: Job, identity: str, paths: Sequence[str]) -> None:
        """See `Database.forget`."""
        self._database.forget(identity, paths)

    def words(self, job: Job, identity: str) -> None:
        """Make the full-text index anew, for the collection's language."""
        from chatapp_rag.store.searching import make_words

        make_words(self._database.chunks(identity), self._database.collection(identity).language)

    def sweep(self, job: Job, identity: str, exact_up_to: int) -> Iterator[str]:
        """Bring a collection into order after changes, saying what is being done."""
        from chatapp_rag.store.upkeep import sweep

        yield from sweep(self._database, identity, exact_up_to)

    def verify(self, job: Job, identity: str, tune: bool) -> Iterator[Any]:
        """Compare what is stored with itself and the indexes with exact search; see `verifying`."""
        from chatapp_rag.store.verifying import verify

        yield from verify(self._database, identity, tune)

    def search(self, job: Job, identity: str, text: str, vector: bytes, limit: int, weight: float) -> Found:
        """The chunks that fit best; see `searching`."""
        from chatapp_rag.store.searching import search

        collection = self._database.collection(identity)
        hits, best = search(self._database.chunks(identity), collection, text, vector, limit, weight)
        return Found(tuple(self._placed(identity, hits)), best)

    def around(self, job: Job, identity: str, digest: str, first: int, last: int) -> list[Hit]:
        """The chunks of a file from one ordinal to another, in order."""
        from chatapp_rag.store.searching import COLUMNS, as_hit

        where = f"digest = '{digest}' AND ordinal >= {first} AND ordinal <= {last}"
        rows = self._database.chunks(identity).search().where(where).select(COLUMNS).limit(None).to_list()
        return self._placed(identity, [as_hit(row) for row in sorted(rows, key=lambda row: int(row["ordinal"]))])

    def _placed(self, identity: str, hits: Sequence[Hit]) -> list[Hit]:
        """The hits with the files they are in; those of no file (it was just removed) left out."""
        from dataclasses import replace

        where: dict[str, list[tuple[str, str]]] = {}
        for part in sliced({hit.digest for hit in hits}):
            query = self._database.files(identity).search().where(f"digest IN ({quoted(part)})")
            for row in query.select(["path", "digest", "title"]).limit(None).to_list():
                where.setdefault(row["digest"], []).append((row["path"], row["title"]))
        found = []
        for hit in hits:
            files = sorted(where.get(hit.digest, []))
            if files:
                found.append(replace(hit, paths=tuple(path for path, _ in files), title=files[0][1]))
        return found

    def _counts(self, identity: str) -> Counter[str]:
        table = self._database.chunks(identity)
        version = table.version
        held = self._digests.get(identity)
        if held is None or held[0] != version:
            digests = table.search().select(["digest"]).limit(None).to_arrow()["digest"]
            held = self._digests[identity] = (version, Counter(digests.to_pylist()))
        return held[1]
