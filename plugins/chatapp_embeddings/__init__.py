"""Texts as vectors, to compare them by meaning: sentence-transformers in a child process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

from chatapp import Embedder, EngineConfig, EngineSpec, Event, Host, Progress, Report, Session, action, hookimpl

# Nothing heavy here: the child process imports this package too.
if TYPE_CHECKING:
    from pydantic import BaseModel


@hookimpl
def settings() -> type[BaseModel]:
    """The model's folder, threads, batch."""
    from chatapp_embeddings.options import EmbeddingsSettings

    return EmbeddingsSettings


@action("embeddings pull")
async def pull(session: Session) -> AsyncIterator[Event | str]:
    """Fetch the embedding model now, so that texts can be compared without a network later."""
    from chatapp_embeddings.fetching import model_folder

    news: asyncio.Queue[Progress | None] = asyncio.Queue()
    fetching = asyncio.ensure_future(model_folder(session.host, news.put_nowait))
    fetching.add_done_callback(lambda _: news.put_nowait(None))
    try:
        while (progress := await news.get()) is not None:
            yield progress
        yield f"The embedding model is in {await fetching}."
    finally:
        fetching.cancel()
        await asyncio.wait([fetching])


@hookimpl
def actions() -> Iterable[Any]:
    """One command, `chatapp embeddings pull`."""
    return [pull]


@hookimpl
def engines() -> Iterable[EngineSpec]:
    """One engine of the kind "embedding"; other plugins ask for it with `host.engines.ready(session, "embedding")`."""
    yield EngineSpec("sentence-transformers", _open, "embedding", "Texts as vectors, to compare them by meaning")


async def _open(host: Host, config: EngineConfig, report: Report) -> Embedder:
    # What it takes to fetch and run the model is imported when texts are first compared, not at every start.
    from chatapp_embeddings.engine import open_embedder

    return await open_embedder(host, config, report)
