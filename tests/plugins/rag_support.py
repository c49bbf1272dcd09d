"""What the tests of the documents plugin share: a host with it, and an embedding model that counts words."""

from __future__ import annotations

import math
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import chatapp_rag
from chatapp import EngineConfig, EngineInfo, EngineSpec, Event, Host, Report, Session, Vectors, commands, hookimpl
from chatapp.testing import RecordingUI, ScriptedEngine, make_host, script
from chatapp_rag.collection import Collection
from chatapp_rag.library import Library, library

DIMENSIONS = 256


class BagEmbedder:
    """A text's vector counts its words, each in one of DIMENSIONS places; counts what it is asked to embed."""

    def __init__(self, name: str = "bag") -> None:
        self.embedded: list[str] = []
        self.failures: list[Exception] = []
        self._info = EngineInfo(
            "bag", name, 64, details={"name": name, "model": name, "dimensions": DIMENSIONS, "tokenizer": ""}
        )

    @property
    def info(self) -> EngineInfo:
        """No tokenizer, 64 tokens."""
        return self._info

    async def embed(
        self, texts: Sequence[str], *, query: bool = False, background: bool = False, report: Report | None = None
    ) -> Vectors:
        """Unit vectors; texts that are no query are remembered."""
        if self.failures:
            raise self.failures.pop(0)
        if not query:
            self.embedded += texts
        return Vectors.of([_counted(text) for text in texts])

    async def tune(self, config: EngineConfig) -> bool:
        """There is nothing to tune, but another name is another model."""
        return config.model in ("", self._info.model)

    async def close(self) -> None:
        """Nothing to give back."""


def _counted(text: str) -> list[float]:
    row = [0.0] * DIMENSIONS
    for word in text.lower().split():
        row[zlib.crc32(word.strip(".,;:!?").encode()) % DIMENSIONS] += 1
    length = math.sqrt(sum(value * value for value in row)) or 1.0
    return [value / length for value in row]


class Bags:
    """The plugin that offers it."""

    def __init__(self, embedder: BagEmbedder | None = None) -> None:
        self._embedder = embedder or BagEmbedder()

    @hookimpl
    def engines(self) -> Iterable[EngineSpec]:
        """One engine of the kind "embedding"."""

        async def opened(host: Host, config: EngineConfig, report: Report) -> BagEmbedder:
            return self._embedder

        yield EngineSpec("bag", opened, "embedding")


@asynccontextmanager
async def documents(
    folder: Path, engine: ScriptedEngine | None = None, embedder: BagEmbedder | None = None, **rag: Any
) -> AsyncIterator[Session]:
    """A started session with the documents plugin; `rag` are values of its settings."""
    host = make_host(folder / "home", RecordingUI(), scripted=engine, rag=rag)
    host.add("chatapp", commands)
    host.add("bags", Bags(embedder))
    host.add("rag", chatapp_rag)
    await host.startup()
    try:
        yield Session(host)
    finally:
        await host.shutdown()


async def fresh(host: Host, embedder: BagEmbedder) -> Session:
    """A session on a host that earlier tests used, as if it had just been made: no collection, nothing asked."""
    store = library(host).store
    for removed in (False, True):
        for each in await store.collections(removed=removed):
            await store.drop(each)
    made = Session(host)
    for remembered in (script(made).answers, script(made).requests, embedder.embedded, embedder.failures):
        remembered.clear()
    return made


async def said(events: AsyncGenerator[Event, None]) -> list[str]:
    """The texts of what an action showed."""
    return [text for event in [each async for each in events] if (text := getattr(event, "text", ""))]


async def run(session: Session, line: str) -> str:
    """Run a slash line; the last thing it showed."""
    shown = await said(session.run(line))
    return shown[-1] if shown else ""


async def collection(session: Session, name: str = "") -> Collection:
    """The collection of that name."""
    return await shelf(session).find(name)


def shelf(session: Session) -> Library:
    """The host's library."""
    return library(session.host)


def written(folder: Path, files: dict[str, str]) -> Path:
    """The folder with these files in it."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder
