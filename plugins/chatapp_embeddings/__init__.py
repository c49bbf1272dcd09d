"""Texts as vectors, to compare them by meaning: sentence-transformers in a child process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

from chatapp import (
    Data,
    Embedder,
    EngineConfig,
    EngineSpec,
    Event,
    Host,
    Report,
    Reranker,
    Session,
    action,
    hookimpl,
    reported,
    table,
)

# Nothing heavy here: the child processes import this package too.
if TYPE_CHECKING:
    from pydantic import BaseModel


@hookimpl
def settings() -> type[BaseModel]:
    """The models, their folders, threads, batch and precision."""
    from chatapp_embeddings.options import EmbeddingsSettings

    return EmbeddingsSettings


def _known(session: Session, prefix: str) -> Iterable[str]:
    from chatapp_embeddings.catalogue import CATALOGUE

    return CATALOGUE


@action("embeddings list")
async def list_(session: Session) -> Data:
    """List the models that embed and rerank, and which of them are on this machine and chosen."""
    from chatapp_embeddings.listing import rows

    columns = ("name", "work", "size", "licence", "languages", "tokens", "state")
    return table("embeddings", columns, await asyncio.to_thread(rows, session.host))


@action("embeddings pull")
async def pull(
    session: Session, name: Annotated[str, "A model of `embeddings list`; by default the settings' one", _known] = ""
) -> AsyncIterator[Event | str]:
    """Fetch an embedding model or a reranker now, so that it can be used without a network later."""
    from chatapp_embeddings.fetching import ensure, named

    chosen = named(session.host, name)
    async with aclosing(reported(lambda report: ensure(session.host, chosen, report))) as news:
        async for progress in news:
            yield progress
    yield f"The {'reranker' if chosen.reranks else 'embedding model'} is in {chosen.folder}."


@hookimpl
def actions() -> Iterable[Any]:
    """`chatapp embeddings list` and `pull`."""
    return [list_, pull]


@hookimpl
def engines() -> Iterable[EngineSpec]:
    """An engine of the kind "embedding" and one of the kind "reranker"; ask for them with `host.engines.ready`."""
    yield EngineSpec("sentence-transformers", _open, "embedding", "Texts as vectors, to compare them by meaning")
    yield EngineSpec("cross-encoder", _open_reranker, "reranker", "Passages in the order in which they answer")


# What it takes to fetch and run a model is imported when texts are first compared, not at every start.


async def _open(host: Host, config: EngineConfig, report: Report) -> Embedder:
    from chatapp_embeddings.engine import open_embedder

    return await open_embedder(host, config, report)


async def _open_reranker(host: Host, config: EngineConfig, report: Report) -> Reranker:
    from chatapp_embeddings.reranker import open_reranker

    return await open_reranker(host, config, report)
