"""`/rag`: answering from documents and searching them."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Annotated

from chatapp import Data, Event, Progress, Rest, Session, UsageError, action, one_line, visible
from chatapp_rag.collection import Collection, Stats, counted
from chatapp_rag.completing import names
from chatapp_rag.library import ON, STATUS, Library, library, show_on
from chatapp_rag.retrieving import retrieve

SHOWN = 300
"""Characters of a passage that `rag search` shows."""


@action("rag", ask=True, shell=False)
async def rag(
    session: Session, collection: Annotated[str, "The collection to answer from", names] = ""
) -> AsyncIterator[Event | str]:
    """Show whether answers come from your documents, or answer from a collection from now on."""
    shelf = library(session.host)
    if collection:
        async with aclosing(turn_on(session, shelf, await shelf.find(collection))) as news:
            async for each in news:
                yield each
        return
    active = await shelf.active(session)
    if active is None:
        yield "Answers do not come from documents here. /rag add PATH adds some, /rag on switches them on."
        return
    stats = await shelf.store.stats(active)
    yield f"Answers come from {active.name!r}: {_held(stats)}. /rag off ends that."


@action("rag on", shell=False)
async def on(
    session: Session, collection: Annotated[str, "Which; otherwise the usual one", names] = ""
) -> AsyncIterator[Event | str]:
    """Answer from a collection of your documents in this conversation, and cite them."""
    shelf = library(session.host)
    async with aclosing(turn_on(session, shelf, await shelf.find(collection))) as news:
        async for each in news:
            yield each


async def turn_on(session: Session, shelf: Library, collection: Collection) -> AsyncGenerator[Progress | str, None]:
    """Answer from this collection in the conversation from now on; its embedding model is opened."""
    stats = await shelf.store.stats(collection)
    if not stats.chunks:
        raise UsageError(f"The collection {collection.name!r} is empty; `rag add PATH` adds a file or a folder.")
    # The embedding model now, while the user sees why it takes a moment, not at the first question.
    async with aclosing(shelf.ready(session, collection)) as news:
        async for progress in news:
            yield progress
    session.values[ON] = collection.id
    show_on(session, collection)
    await session.save()
    yield f"Answers come from {collection.name!r} now: {_held(stats)}. /rag off ends that."


@action("rag off", shell=False)
async def off(session: Session) -> str:
    """Answer without documents again in this conversation."""
    if not session.values.get(ON) and not library(session.host).settings.default:
        raise UsageError("No documents are on in this conversation.")
    # Not removed: the settings' collection would come back.
    session.values[ON] = ""
    session.status.pop(STATUS, None)
    await session.save()
    return "Answers do not come from documents any longer."


@action("rag search", tool=True, consent="free")
async def search(
    session: Session,
    query: Annotated[str, "What to look for, as a question or words", Rest()],
    *,
    collection: Annotated[str, "Which collection", names] = "",
    limit: Annotated[int, "The most passages"] = 6,
) -> AsyncIterator[Event]:
    """Search your documents and show the passages that fit best. Use it for questions they may answer."""
    shelf = library(session.host)
    active = None if collection else await shelf.active(session)
    chosen = active or await shelf.find(collection)
    if not query.strip():
        raise UsageError("Say what to look for: `rag search QUERY`.")
    began = time.perf_counter()
    found = await retrieve(session, shelf, chosen, query, max(1, min(limit, 50)))
    seconds = time.perf_counter() - began
    rows = [
        {
            "number": number,
            "file": visible(passage.path),
            "where": passage.locator,
            "heading": visible(passage.hit.heading),
            "similarity": None if passage.hit.similarity is None else round(passage.hit.similarity, 3),
            "score": round(passage.hit.score, 3),
            "text": passage.text,
        }
        for number, passage in enumerate(found.passages, 1)
    ]
    verdict = "relevant" if found.relevant else "nothing relevant"
    lines = [f"{chosen.name}: {verdict}: best similarity {found.best:.2f}, relevant from {found.threshold:.2f}"]
    for passage, row in zip(found.passages, rows, strict=True):
        lines += [f"[{row['number']}] {visible(passage.name)}", f"    {visible(one_line(passage.text, SHOWN))}"]
    value = {"collection": chosen.name, "relevant": found.relevant, "best": round(found.best, 3),
             "threshold": found.threshold, "seconds": round(seconds, 3), "passages": rows}  # fmt: skip
    yield Data("rag.found", value, "\n".join(lines))


@action("rag watch", shell=False)
async def watch(session: Session) -> str:
    """Keep the collection up to date by itself while the application runs; again to stop."""
    from chatapp_rag.watching import toggle

    shelf = library(session.host)
    chosen = await shelf.active(session) or await shelf.find()
    if not chosen.roots:
        raise UsageError(f"The collection {chosen.name!r} has no files to watch; `rag add PATH` adds some.")
    if toggle(session, shelf, chosen):
        return f"Changes below {', '.join(chosen.roots)} are read from now on; /rag watch ends that."
    return f"{chosen.name!r} is watched no longer."


def _held(stats: Stats) -> str:
    without = f" ({stats.skipped:,} more without text)" if stats.skipped else ""
    return f"{counted(stats.files, 'file')}{without}, {counted(stats.chunks, 'passage')}"


ACTIONS = (rag, on, off, search, watch)
