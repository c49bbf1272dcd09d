"""What one running application has of documents: the store, the reader of files, and which collection is meant."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from weakref import WeakKeyDictionary

from chatapp import Embedder, EngineError, FileLock, Host, Progress, Session, UsageError
from chatapp_rag.collection import Collection, checked_name
from chatapp_rag.options import RagSettings
from chatapp_rag.reading.client import TARGET as READER
from chatapp_rag.reading.client import FileReader
from chatapp_rag.store.client import Store

READ_SECONDS = 600.0
"""How long one file may take: the largest text there may be takes a few minutes to split."""
STATUS = "rag"
"""The name in the status line."""
ON = "rag.on"
"""In the conversation's values: the id of the collection that is on."""
_libraries: WeakKeyDictionary[Host, Library] = WeakKeyDictionary()


class Library:
    """Everything of one host; nothing is started before it is used."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.store = Store(host)
        self.reader = FileReader(host.workers.add("document reader", READER), READ_SECONDS)

    @property
    def settings(self) -> RagSettings:
        """The plugin's settings."""
        return self.host.config(RagSettings)

    async def find(self, name: str = "") -> Collection:
        """The collection of that name (the settings' one without); UsageError names those there are."""
        wanted = name or self.settings.collection
        collections = await self.store.collections()
        for each in collections:
            if each.name == wanted:
                return each
        names = [each.name for each in collections]
        if not names:
            raise UsageError("There are no documents yet; `rag add PATH` adds a file or a folder.")
        near = difflib.get_close_matches(wanted, names, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(names))}."
        raise UsageError(f"There is no collection {wanted!r}; {hint}")

    async def active(self, session: Session) -> Collection | None:
        """The collection that is on in this conversation, None when none is or it was removed meanwhile."""
        if ON in session.values:
            identity = session.values[ON]
            return next((each for each in await self.store.collections() if each.id == identity), None)
        if self.settings.default:
            return await self.find(self.settings.default)
        return None

    async def ready(self, session: Session, collection: Collection | None) -> AsyncGenerator[Progress, None]:
        """Open the embedding model of a collection, or the settings' one for a new collection.

        EngineError when the collection was made with another model than the one that can be opened.
        """
        asked = collection.asked if collection is not None else ""
        async with aclosing(self.host.engines.ready(session, "embedding", model=asked)) as news:
            async for progress in news:
                yield progress
        if collection is not None and identity(self.embedder) != collection.model:
            raise EngineError(
                f"The collection {collection.name!r} was made with the embedding model {collection.model}, and "
                f"{identity(self.embedder)} is what can be opened; make a new one: `rag add --collection NAME PATH`."
            )

    @property
    def embedder(self) -> Embedder:
        """The embedding model, after `ready`."""
        embedder = self.host.engines.current("embedding")
        assert embedder is not None
        return embedder

    async def make(self, name: str) -> Collection:
        """A new collection for the embedding model that is open."""
        info = self.embedder.info
        dimensions = int(info.details["dimensions"])
        asked = str(info.details.get("name", ""))
        return await self.store.create(checked_name(name), identity(self.embedder), asked, dimensions)

    async def relearn(self, collection: Collection, language: str) -> Collection:
        """The collection with its words indexed for another language (ISO 639-1)."""
        changed = await self.store.change(collection, language=language)
        async with self.store.writing():
            await self.store.words(changed)
        return changed

    def lock(self, collection: Collection) -> FileLock:
        """Held while a collection is written: two processes would embed the same files twice."""
        folder = self.host.paths.data / "rag-locks"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return FileLock(folder / f"{collection.id}.lock")

    async def close(self) -> None:
        """End the child processes."""
        await self.store.close()
        await self.reader.close()


def show_on(session: Session, collection: Collection) -> None:
    """Say in the status line which documents are on."""
    session.status[STATUS] = collection.name


def library(host: Host) -> Library:
    """The host's library."""
    if host not in _libraries:
        _libraries[host] = Library(host)
    return _libraries[host]


def opened(host: Host) -> Library | None:
    """The host's library if it was used."""
    return _libraries.get(host)


def identity(embedder: Embedder) -> str:
    """Which model this is, exactly: vectors of two models cannot be compared."""
    return str(embedder.info.details.get("model") or embedder.info.model)


async def absolute(paths: tuple[Path, ...]) -> list[Path]:
    """The paths as they are written, made absolute; UsageError for one that is not there."""

    def check() -> list[Path]:
        every = [Path.cwd() / path.expanduser() for path in paths]
        for path in every:
            if not path.exists():
                raise UsageError(f"There is no file or folder {path}.")
        return [Path(path.absolute()) for path in every]

    return await asyncio.to_thread(check)
