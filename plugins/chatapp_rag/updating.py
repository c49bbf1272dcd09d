"""One update of a collection, start to finish: its lock, its model, the indexing, its new roots."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

from chatapp import Progress, Session, UsageError
from chatapp_rag.collection import Collection
from chatapp_rag.indexing import Indexer
from chatapp_rag.library import Library
from chatapp_rag.writing import Outcome


async def update(
    session: Session, library: Library, collection: Collection, paths: Sequence[Path]
) -> AsyncGenerator[Progress | Outcome, None]:
    """Index `paths` (absolute) into the collection, telling how far it is; the last value is what was done.

    UsageError when another process writes this collection.
    """
    lock = library.lock(collection)
    if not lock.try_acquire():
        raise UsageError(f"The collection {collection.name!r} is being written by another process; wait for it.")
    try:
        # The roots first: after a kill, `rag add` without paths goes on with them.
        collection = await library.store.change(collection, roots=_outermost(collection.roots, paths))
        async with aclosing(library.ready(session, collection)) as news:
            async for progress in news:
                yield progress
        indexer = Indexer(library.store, collection, library.embedder, library.reader)
        async with aclosing(indexer.run(paths, library.settings.largest)) as news:
            async for progress in news:
                yield progress
        yield indexer.outcome
    finally:
        lock.release()
        await library.reader.rest()


def _outermost(roots: Sequence[str], paths: Sequence[Path]) -> tuple[str, ...]:
    """The roots with the new paths, without those that are inside another."""
    every = sorted({Path(root) for root in roots} | set(paths))
    return tuple(
        str(path) for path in every if not any(path != other and path.is_relative_to(other) for other in every)
    )
