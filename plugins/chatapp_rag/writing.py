"""Chunks on their way into the index: embedded, staged, and committed file by whole file."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from chatapp import Embedder, Progress, Vectors
from chatapp_rag.collection import Collection, Entry, counted
from chatapp_rag.documents import Chunk, Reading
from chatapp_rag.reading.walking import Found
from chatapp_rag.store.client import Store

BATCH = 256
"""Chunks that are embedded and written together: enough to sort them by length, and to write few versions."""


@dataclass(slots=True)
class Outcome:
    """What a run did: counts of files, of chunks that were embedded, and the files without text and why."""

    new: int = 0
    changed: int = 0
    moved: int = 0
    unchanged: int = 0
    removed: int = 0
    embedded: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        """What happened, in one line."""
        counts = [
            (self.new, "new"), (self.changed, "changed"), (self.moved, "moved or copied"), (self.removed, "removed"),
            (self.unchanged, "unchanged"), (len(self.skipped), "without text"),
        ]  # fmt: skip
        said = ", ".join(f"{count:,} {word}" for count, word in counts if count) or "no files"
        return f"{said}; {counted(self.embedded, 'passage')} embedded."


@dataclass(slots=True)
class Piece:
    """Some chunks of a file, `first` the ordinal of the first; the last piece carries the file's entry."""

    digest: str
    first: int
    chunks: Sequence[Chunk]
    entry: Entry | None


class Forecast:
    """How many passages there will be in all, from the files that were read and the bytes of those that were not."""

    def __init__(self, name: str, files: Sequence[Found]) -> None:
        self._name, self._files = name, len(files)
        self._bytes = sum(file.size for file in files)
        self._read_files = self._read_bytes = self._chunks = 0

    def read(self, file: Found, reading: Reading) -> None:
        """Count a file that was read."""
        self._read_files += 1
        self._read_bytes += file.size
        self._chunks += len(reading.chunks)

    def now(self, embedded: int) -> Progress:
        """How far it is with so many chunks embedded."""
        label = f"Indexing {self._name}, {self._read_files:,} of {self._files:,} files"
        share = self._read_bytes / self._bytes if self._bytes else 1.0
        total = round(self._chunks / share) if share else 0
        return Progress(label, embedded, max(total, embedded), "passages")


class Writer:
    """Writes `pieces` to a collection, in order."""

    def __init__(self, store: Store, collection: Collection, embedder: Embedder, outcome: Outcome) -> None:
        self.pieces: list[Piece] = []
        self._store, self._collection, self._embedder, self._outcome = store, collection, embedder, outcome
        self._waiting: list[Entry] = []

    async def write(self, least: int) -> AsyncGenerator[int, None]:
        """Write for as long as there are at least so many chunks (1: everything); yields how many were embedded."""
        while self.pieces and (least <= 1 or sum(len(piece.chunks) for piece in self.pieces) >= least):
            count = taken = 0
            while taken < len(self.pieces) and count < BATCH:
                count += len(self.pieces[taken].chunks)
                taken += 1
            batch, self.pieces = self.pieces[:taken], self.pieces[taken:]
            async for done in self._stage(batch):
                yield done
            self._waiting += [piece.entry for piece in batch if piece.entry is not None]
            # In the middle of a long file nothing is committed: what is staged would be half of it.
            if batch[-1].entry is not None:
                await self._store.commit(self._collection, self._waiting)
                self._waiting = []

    async def _stage(self, batch: Sequence[Piece]) -> AsyncGenerator[int, None]:
        texts = [chunk.embedded for piece in batch for chunk in piece.chunks]
        if not texts:
            return
        news: asyncio.Queue[Progress | None] = asyncio.Queue()
        work = asyncio.ensure_future(self._embedder.embed(texts, background=True, report=news.put_nowait))
        work.add_done_callback(lambda _: news.put_nowait(None))
        try:
            while (progress := await news.get()) is not None:
                yield self._outcome.embedded + round(progress.done)
            vectors = await work
        finally:
            work.cancel()
            await asyncio.wait([work])
        await self._send(batch, vectors)
        self._outcome.embedded += len(texts)
        yield self._outcome.embedded

    async def _send(self, batch: Sequence[Piece], vectors: Vectors) -> None:
        width = len(vectors.data) // len(vectors)
        place = 0
        for piece in batch:
            if piece.chunks:
                part = vectors.data[place * width : (place + len(piece.chunks)) * width]
                await self._store.stage(self._collection, piece.digest, piece.first, piece.chunks, part)
                place += len(piece.chunks)
