"""The document store as the rest of the plugin sees it: a client of the service in the child processes."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chatapp import EngineError, Host, OfflineError, Worker, WorkerDied, WorkerError
from chatapp_rag.collection import Collection, Entry, Found, Hit, Stats
from chatapp_rag.documents import Chunk
from chatapp_rag.options import RagSettings
from chatapp_rag.store.failing import brief
from chatapp_rag.store.verifying import Check

TARGET = "chatapp_rag.store.service:Service"
LIBRARY = "lancedb"
ENVIRONMENT = {"LANCE_LOG": "error"}
"""LanceDB warns at each query of what later versions will change."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Store:
    """The index of one host, in one process; while that writes, searches have a second one, so that none waits.

    All methods raise EngineError when the store cannot be opened or the process died; the next use starts afresh.
    """

    def __init__(self, host: Host) -> None:
        self._host = host
        self._writing = host.workers.add("document index", TARGET, ENVIRONMENT)
        self._searching = host.workers.add("document search", TARGET, ENVIRONMENT)
        self._opened: dict[Worker, int] = {}
        self._writers = 0

    @property
    def uri(self) -> str:
        """Where the index is: a URI with ``://``, or the absolute path of a folder."""
        uri = self._host.config(RagSettings).uri
        # A relative folder must not become another one with each working directory.
        return uri if "://" in uri else str(self._host.paths.data / Path(uri or "rag").expanduser())

    async def collections(self, *, removed: bool = False) -> list[Collection]:
        """The collections, oldest first; with `removed` those that can be restored instead."""
        every: list[Collection] = await self._call(self._reading, "collections")
        return [each for each in every if (each.removed is not None) is removed]

    async def create(self, name: str, model: str, asked: str, dimensions: int) -> Collection:
        """A new collection for vectors of a model; its name must be free."""
        made: Collection = await self._call(self._writing, "create", name, model, asked, dimensions)
        return made

    async def change(self, collection: Collection, **changes: Any) -> Collection:
        """The collection with other values in some fields."""
        made: Collection = await self._call(self._writing, "change", collection.id, changes)
        return made

    async def drop(self, collection: Collection) -> None:
        """Delete for good."""
        await self._call(self._writing, "drop", collection.id)

    async def entries(self, collection: Collection) -> list[Entry]:
        """Every file of the collection."""
        async with aclosing(self._stream(self._reading, "entries", collection.id)) as parts:
            return [entry async for part in parts for entry in part]

    async def stats(self, collection: Collection) -> Stats:
        """How much it holds."""
        found: Stats = await self._call(self._reading, "stats", collection.id)
        return found

    async def present(self, collection: Collection) -> dict[str, int]:
        """How many chunks are stored for each digest."""
        held: dict[str, int] = await self._call(self._writing, "present", collection.id, background=True)
        return held

    async def stage(
        self, collection: Collection, digest: str, first: int, chunks: Sequence[Chunk], vectors: bytes
    ) -> None:
        """Send chunks of a file ahead; `vectors` are their 32-bit floats, little-endian, one after another."""
        await self._call(self._writing, "stage", collection.id, digest, first, list(chunks), vectors, background=True)

    async def commit(self, collection: Collection, entries: Sequence[Entry]) -> None:
        """Write what was staged and the rows of its files."""
        await self._call(self._writing, "commit", collection.id, list(entries), background=True)

    async def discard(self, collection: Collection) -> None:
        """Forget what was staged; a process that is gone has forgotten already."""
        if self._writing.alive:
            await self._call(self._writing, "discard", collection.id)

    async def forget(self, collection: Collection, paths: Sequence[str]) -> None:
        """Take files out; the next sweep deletes their chunks."""
        await self._call(self._writing, "forget", collection.id, list(paths), background=True)

    async def words(self, collection: Collection) -> None:
        """Make the full-text index anew, for the collection's language."""
        await self._call(self._writing, "words", collection.id)

    async def sweep(self, collection: Collection, *, background: bool = True) -> AsyncGenerator[str, None]:
        """Bring the collection into order, saying what is being done."""
        exact_up_to = self._host.config(RagSettings).exact_up_to
        made = self._stream(self._writing, "sweep", collection.id, exact_up_to, background=background)
        async with aclosing(made) as steps:
            async for step in steps:
                yield step

    async def verify(self, collection: Collection, *, tune: bool) -> AsyncGenerator[Check, None]:
        """Look whether all is well; see `verifying.verify`."""
        async with aclosing(self._stream(self._writing, "verify", collection.id, tune)) as checks:
            async for check in checks:
                yield check

    async def search(
        self, collection: Collection, text: str, vector: Sequence[float], limit: int, weight: float
    ) -> Found:
        """The best chunks for a query: its text and its unit vector; see `searching.search`."""
        from array import array

        data = array("f", vector).tobytes()
        found: Found = await self._call(self._reading, "search", collection.id, text, data, limit, weight)
        return found

    async def around(self, collection: Collection, hit: Hit, reach: int) -> list[Hit]:
        """The hit's chunk with up to `reach` chunks before and after it in the same file, in order."""
        first, last = hit.ordinal - reach, hit.ordinal + reach
        found: list[Hit] = await self._call(self._reading, "around", collection.id, hit.digest, first, last)
        return found

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Around work that writes or takes long: what is asked meanwhile goes to the second process."""
        self._writers += 1
        try:
            yield
        finally:
            self._writers -= 1
            if not self._writers and self._searching.alive:
                # One process is enough again, and the one that wrote has grown.
                await self._writing.rest()

    @property
    def _reading(self) -> Worker:
        return self._searching if self._writers or self._searching.alive else self._writing

    async def close(self) -> None:
        """End both processes."""
        await self._writing.close()
        await self._searching.close()

    async def _call(self, worker: Worker, method: str, *arguments: Any, background: bool = False) -> Any:
        with self._in_one_sentence():
            await self._ready(worker)
            return await worker.call(method, *arguments, background=background)

    async def _stream(
        self, worker: Worker, method: str, *arguments: Any, background: bool = False
    ) -> AsyncGenerator[Any, None]:
        with self._in_one_sentence():
            await self._ready(worker)
            async with aclosing(worker.stream(method, *arguments, background=background)) as items:
                async for item in items:
                    yield item

    @contextmanager
    def _in_one_sentence(self) -> Iterator[None]:
        """What LanceDB raises in the child is a chain of places in its source."""
        try:
            yield
        except WorkerDied:
            raise
        except WorkerError as error:
            local = "://" not in self.uri
            advice = "delete that folder and add your documents again" if local else "check the address and the keys"
            raise EngineError(
                f"The document store at {self.uri} failed: {brief(error)}; where that stays so, {advice}."
            ) from error

    async def _ready(self, worker: Worker) -> None:
        """Open the database in this process unless a living one has it open."""
        from importlib.util import find_spec

        if find_spec(LIBRARY) is None:
            raise EngineError("lancedb is not installed; pip install 'chatapp[rag]' would.")
        await worker.start()
        if self._opened.get(worker) == worker.starts:
            return
        settings = self._host.config(RagSettings)
        self._check_allowed(settings)
        key = os.environ.get(settings.key_variable, "")
        await worker.call("open", self.uri, settings.storage_options, key, settings.host)
        self._opened[worker] = worker.starts

    def _check_allowed(self, settings: RagSettings) -> None:
        if "://" not in self.uri or self.uri.startswith("file://"):
            return
        endpoint = settings.host or next(
            (value for name, value in settings.storage_options.items() if "endpoint" in name.lower()), ""
        )
        if self._host.offline and urlsplit(endpoint).hostname not in LOOPBACK:
            raise OfflineError(f"The index at {self.uri} is on another machine and the application is offline.")
