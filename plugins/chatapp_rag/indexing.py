"""Bringing a collection up to date with its files: what is new is read and embedded, what is gone goes."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from chatapp import Embedder, Progress
from chatapp_rag.collection import Collection, Entry
from chatapp_rag.documents import Reading
from chatapp_rag.reading.walking import Found, Skipped, walk
from chatapp_rag.store.client import Store
from chatapp_rag.writing import BATCH, Forecast, Outcome, Piece, Writer

AHEAD = 16
"""Files that are read ahead while others are embedded."""
STEP = 200
"""Files that the search for files brings at a time."""


class Reads(Protocol):
    """What turns a file into chunks."""

    async def read(self, path: str, tokenizer: str, capacity: int) -> Reading:
        """The chunks of a file, each of at most `capacity` tokens, or the reason why there are none."""
        ...


class Indexer:
    """Indexes files into one collection. One at a time per collection: the caller sees to that."""

    def __init__(self, store: Store, collection: Collection, embedder: Embedder, reader: Reads) -> None:
        self.collection = collection
        self.outcome = Outcome()
        self._store, self._embedder, self._reader = store, embedder, reader
        self._tokenizer = str(embedder.info.details.get("tokenizer") or "")
        self._capacity = embedder.info.context_length
        self._held: dict[str, Entry] = {}
        self._chunks: dict[str, int] = {}
        self._languages: Counter[str] = Counter()

    async def run(self, paths: Sequence[Path], largest: int) -> AsyncGenerator[Progress, None]:
        """Index what is below `paths` (absolute), telling how far it is; `outcome` says afterwards what was done.

        Each file is committed whole. Breaking off at any point, by cancelling or by force, loses at most the files that
        were not committed yet; the next run does those.
        """
        await self._remember()
        async with self._store.writing(), aclosing(self._run(paths, largest)) as news:
            async for progress in news:
                yield progress

    async def _run(self, paths: Sequence[Path], largest: int) -> AsyncGenerator[Progress, None]:
        found: list[Found] = []
        skipped: list[Skipped] = []
        async for progress in _look(paths, largest, found, skipped):
            yield progress
        seen = {str(each.path) for each in found} | {str(each.path) for each in skipped}
        await self._forget_gone(paths, seen)
        await self._note_skipped(skipped)
        async with aclosing(self._bring_in(found)) as news:
            async for progress in news:
                yield progress

    async def take(self, files: Sequence[Found]) -> AsyncGenerator[Progress, None]:
        """Index just these files, wherever the reader has them from; nothing else in the collection changes."""
        await self._remember()
        async with self._store.writing(), aclosing(self._bring_in(files)) as news:
            async for progress in news:
                yield progress

    async def _remember(self) -> None:
        """Learn what the collection holds."""
        self._held = {entry.path: entry for entry in await self._store.entries(self.collection)}
        # Also those that no file holds any longer: a file that was taken out may come back.
        self._chunks = await self._store.present(self.collection)

    async def _bring_in(self, found: Sequence[Found]) -> AsyncGenerator[Progress, None]:
        todo = [each for each in found if not self._is_unchanged(each)]
        self.outcome.unchanged = len(found) - len(todo)
        try:
            async with aclosing(self._index(todo)) as news:
                async for progress in news:
                    yield progress
        finally:
            await self._store.discard(self.collection)
        await self._settle_language()
        async with aclosing(self._store.sweep(self.collection)) as steps:
            async for step in steps:
                yield Progress(step)

    def _is_unchanged(self, file: Found) -> bool:
        held = self._held.get(str(file.path))
        if held is None or (held.size, held.mtime_ns) != (file.size, file.mtime_ns):
            return False
        return bool(held.reason) or self._chunks.get(held.digest, 0) == held.chunks

    async def _forget_gone(self, paths: Sequence[Path], seen: set[str]) -> None:
        """Files that were below `paths` and are no longer; a path that is not there itself may be an unplugged disk."""
        there = [path for path in paths if await asyncio.to_thread(os.path.lexists, path)]
        self.outcome.missing = [str(path) for path in paths if path not in there]
        gone = [path for path in self._held if path not in seen and _below(path, there)]
        if gone:
            # Their chunks stay until the sweep at the end: a file that moved finds them.
            await self._store.forget(self.collection, gone)
        self.outcome.removed = len(gone)

    async def _note_skipped(self, skipped: Iterable[Skipped]) -> None:
        entries = [Entry(str(each.path), "", 0, 0, reason=each.reason) for each in skipped]
        self.outcome.skipped += [(entry.path, entry.reason) for entry in entries]
        changed = [entry for entry in entries if self._held.get(entry.path) != entry]
        if changed:
            await self._store.commit(self.collection, changed)

    async def _index(self, files: Sequence[Found]) -> AsyncGenerator[Progress, None]:
        writer = Writer(self._store, self.collection, self._embedder, self.outcome)
        progress = Forecast(self.collection.name, files)
        seen: set[str] = set()
        async with aclosing(self._read_ahead(files)) as readings:
            async for file, reading in readings:
                writer.pieces += self._pieces(file, reading, seen)
                progress.read(file, reading)
                yield progress.now(self.outcome.embedded)
                async with aclosing(writer.write(BATCH)) as steps:
                    async for done in steps:
                        yield progress.now(done)
        async with aclosing(writer.write(1)) as steps:
            async for done in steps:
                yield progress.now(done)

    async def _read_ahead(self, files: Sequence[Found]) -> AsyncGenerator[tuple[Found, Reading], None]:
        """Read files in order, some ahead of the one that is wanted."""
        waiting: asyncio.Queue[tuple[Found, Reading] | None] = asyncio.Queue(AHEAD)

        async def read() -> None:
            for file in files:
                reading = await self._reader.read(str(file.path), self._tokenizer, self._capacity)
                await waiting.put((file, reading))
            await waiting.put(None)

        task = asyncio.ensure_future(read())
        try:
            while (got := await _next(waiting, task)) is not None:
                yield got
        finally:
            task.cancel()
            await asyncio.wait([task])

    def _pieces(self, file: Found, reading: Reading, seen: set[str]) -> list[Piece]:
        """What must be written for this file: its entry, after its chunks unless the index has them already."""
        path = str(file.path)
        held = self._held.get(path)
        entry = Entry(
            path, reading.digest, file.size, file.mtime_ns, len(reading.chunks), reading.title, reading.reason
        )
        if reading.reason:
            self.outcome.skipped.append((path, reading.reason))
            return [Piece("", 0, (), entry)]
        known = reading.digest in seen or self._chunks.get(reading.digest, 0) == entry.chunks
        if known and held is not None and held.digest == reading.digest:
            self.outcome.unchanged += 1
        elif known:
            self.outcome.moved += 1
        else:
            self.outcome.changed += held is not None
            self.outcome.new += held is None
        self._languages[reading.language] += entry.chunks
        if known:
            return [Piece(reading.digest, 0, (), entry)]
        seen.add(reading.digest)
        starts = range(0, len(reading.chunks), BATCH)
        parts = [Piece(reading.digest, at, reading.chunks[at : at + BATCH], None) for at in starts]
        return [*parts[:-1], replace(parts[-1], entry=entry)]

    async def _settle_language(self) -> None:
        """The first files say in which language the words are indexed."""
        if not self.collection.language:
            for language, _ in self._languages.most_common():
                if language:
                    self.collection = await self._store.change(self.collection, language=language)
                    return


def _below(path: str, roots: Sequence[Path]) -> bool:
    return any(Path(path).is_relative_to(root) for root in roots)


async def _look(
    paths: Sequence[Path], largest: int, found: list[Found], skipped: list[Skipped]
) -> AsyncGenerator[Progress, None]:
    """Fill `found` and `skipped` with what is below `paths`."""
    files = iter(walk(paths, largest=largest))
    while part := await asyncio.to_thread(lambda: list(islice(files, STEP))):
        for each in part:
            if isinstance(each, Found):
                found.append(each)
            else:
                skipped.append(each)
        yield Progress("Looking for files", len(found), None, "files")


async def _next(
    waiting: asyncio.Queue[tuple[Found, Reading] | None], task: asyncio.Future[None]
) -> tuple[Found, Reading] | None:
    """The next of the queue; what the task that fills it raised, if it ended before."""
    getting = asyncio.ensure_future(waiting.get())
    both: list[asyncio.Future[Any]] = [getting, task]
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not getting.done() and task.done():
            task.result()
        return await getting
    finally:
        getting.cancel()
