"""What the tests of the document store share: a store in its child processes, files in it, and a view past it."""

from __future__ import annotations

import hashlib
import math
import random
from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import chatapp_rag
from chatapp import Host
from chatapp.testing import RecordingUI, make_host
from chatapp_rag.collection import Collection, Entry
from chatapp_rag.documents import Chunk
from chatapp_rag.store.client import Store

WIDTH = 16


@asynccontextmanager
async def stored(folder: Path, **rag: Any) -> AsyncIterator[Store]:
    """A store in `folder`; `rag` are values of the plugin's settings."""
    host = host_of(folder, **rag)
    await host.startup()
    try:
        yield Store(host)
    finally:
        await host.shutdown()


def host_of(folder: Path, *, offline: bool = False, **rag: Any) -> Host:
    """A host with the documents plugin that was not started."""
    host = make_host(folder, RecordingUI(), offline=offline, rag=rag)
    host.add("rag", chatapp_rag)
    return host


async def made(store: Store, name: str = "notes", language: str = "") -> Collection:
    """A new, empty collection."""
    collection = await store.create(name, "model", "asked", WIDTH)
    return await store.change(collection, language=language) if language else collection


def vector(seed: object, width: int = WIDTH) -> list[float]:
    """A unit vector, the same for the same seed."""
    draw = random.Random(str(seed))
    values = [draw.gauss(0, 1) for _ in range(width)]
    length = math.hypot(*values)
    return [value / length for value in values]


def digest_of(path: str) -> str:
    """What stands for the hash of a file's bytes."""
    return hashlib.sha256(path.encode()).hexdigest()


async def stage(store: Store, collection: Collection, path: str, texts: Sequence[str]) -> Entry:
    """Send a file's chunks ahead, each with the vector of its text; the row it needs to be committed."""
    flat = array("f", [value for text in texts for value in vector(text)]).tobytes()
    await store.stage(collection, digest_of(path), 0, [Chunk(text) for text in texts], flat)
    return Entry(path, digest_of(path), 1, 1, len(texts))


async def put(store: Store, collection: Collection, **files: Sequence[str]) -> None:
    """Add files of these names with these chunks, without a sweep."""
    await store.commit(collection, [await stage(store, collection, f"/{name}", files[name]) for name in files])


async def swept(store: Store, collection: Collection) -> list[str]:
    """Sweep; what it said."""
    return await listed(store.sweep(collection))


async def listed(values: AsyncGenerator[Any, None]) -> list[Any]:
    """All values of a stream."""
    return [value async for value in values]


async def found(store: Store, collection: Collection, text: str, weight: float = 0.5, limit: int = 10) -> list[str]:
    """The texts a search finds, best first, with the vector of that very text."""
    result = await store.search(collection, text, vector(text), limit, weight)
    return [hit.text for hit in result.hits]


async def verdicts(store: Store, collection: Collection, *, tune: bool = True) -> dict[str, bool]:
    """What `verify` says of each thing."""
    return {check.name: check.good for check in await listed(store.verify(collection, tune=tune))}


def table_of(store: Store, collection: Collection, kind: str = "chunks") -> Any:
    """A collection's table, opened beside the store by LanceDB itself."""
    import lancedb

    return lancedb.connect(store.uri).open_table(f"{collection.id}-{kind}")
