"""`/rag add` and what else is done with collections; the same as `chatapp rag …` in the shell."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from chatapp import Data, EngineError, Event, Progress, Session, UsageError, action, human_bytes, table, visible
from chatapp_rag.collection import Collection, Entry, Stats, counted
from chatapp_rag.commands import off, turn_on
from chatapp_rag.completing import names, paths_below, seen
from chatapp_rag.library import ON, Library, absolute, library
from chatapp_rag.writing import Outcome


@action("rag add", beside=True)
async def add(
    session: Session,
    *paths: Annotated[Path, "Files and folders; without any, those added before are read again", paths_below],
    collection: Annotated[str, "Which collection; made if it is not there", names] = "",
    language: Annotated[str, "The documents' language (en, pt, …) if it is guessed wrong"] = "",
) -> AsyncIterator[Event | str]:
    """Add files and folders to a collection, or bring it up to date: only what changed is read again."""
    from chatapp_rag.updating import update

    shelf, begun = library(session.host), session.conversation
    wanted = await absolute(paths)
    found = await _found_or_none(shelf, collection)
    if found is None and not wanted:
        raise UsageError("Name a file or a folder: `rag add PATH`.")
    if found is None:
        async with aclosing(shelf.ready(session, None)) as news:
            async for progress in news:
                yield progress
        found = await shelf.make(collection or shelf.settings.collection)
    if language and language != found.language:
        found = await shelf.relearn(found, language)
    seen(found.name)
    outcome = Outcome()
    async with aclosing(update(session, shelf, found, wanted or [Path(root) for root in found.roots])) as steps:
        async for step in steps:
            if isinstance(step, Progress):
                yield step
            else:
                outcome = step
    yield _told(found, outcome)
    # Meanwhile the user may have gone on to another conversation, which did not ask for it.
    if session.keep and session.conversation is begun and not session.values.get(ON) and outcome.embedded:
        async with aclosing(turn_on(session, shelf, found)) as steps:
            async for each in steps:
                yield each


async def _found_or_none(shelf: Library, name: str) -> Collection | None:
    wanted = name or shelf.settings.collection
    return next((each for each in await shelf.store.collections() if each.name == wanted), None)


def _told(collection: Collection, outcome: Outcome) -> Data:
    lines = [f"{collection.name}: {outcome.sentence()}"]
    lines += [f"  {visible(path)}: {reason}" for path, reason in outcome.skipped[:20]]
    if len(outcome.skipped) > 20:
        lines.append(f"  … and {len(outcome.skipped) - 20} more; `rag list {collection.name}` shows all.")
    lines += [f"  {visible(path)} is not there; what was read from it stays." for path in outcome.missing]
    return Data("rag.added", {"collection": collection.name, **asdict(outcome)}, "\n".join(lines))


@action("rag list")
async def list_(session: Session, collection: Annotated[str, "Its files, one by one", names] = "") -> Data:
    """List the collections, or the files of one with the reasons why some have no text."""
    shelf = library(session.host)
    if collection:
        entries = sorted(await shelf.store.entries(await shelf.find(collection)), key=lambda entry: entry.path)
        files = [(visible(entry.path), entry.chunks, entry.reason) for entry in entries]
        return table("rag.files", ("file", "passages", "problem"), files)
    found = await shelf.store.collections()
    seen(*(each.name for each in found))
    active = session.values.get(ON)
    rows: list[tuple[object, ...]] = []
    for each in found:
        stats = await _stats(shelf, each)
        state = "damaged" if stats is None else "on" if each.id == active else ""
        held = (stats.files, stats.skipped, stats.chunks, human_bytes(stats.size)) if stats else ("", "", "", "")
        rows.append((each.name, *held, each.language, each.asked, state))
    columns = ("name", "files", "without text", "passages", "size", "language", "model", "state")
    return table("rag.collections", columns, rows)


async def _stats(shelf: Library, collection: Collection) -> Stats | None:
    """How much it holds; None where its tables cannot be read, so that the others are listed all the same."""
    try:
        return await shelf.store.stats(collection)
    except EngineError:
        return None


@action("rag rm")
async def rm(
    session: Session,
    *what: Annotated[str, "A collection's name, or files and folders to take out of one", names],
    collection: Annotated[str, "Which collection the files are in", names] = "",
) -> AsyncIterator[Event | str]:
    """Remove a collection, or files from one; the documents themselves are never touched."""
    shelf = library(session.host)
    if not what:
        raise UsageError("Name a collection, or files to take out of one: `rag list` shows them.")
    names = {each.name: each for each in await shelf.store.collections()}
    for each in what:
        if each in names and not collection:
            await shelf.store.change(names[each], removed=time.time())
            if session.values.get(ON) == names[each].id:
                await off.function(session)
            yield f"{each!r} is removed; `rag restore {each}` brings it back until `rag purge` frees the disk."
        else:
            yield await _take_out(shelf, await shelf.find(collection), each)


async def _take_out(shelf: Library, collection: Collection, path: str) -> str:
    root = Path.cwd() / Path(path).expanduser()
    entries = await shelf.store.entries(collection)
    gone = [entry.path for entry in entries if Path(entry.path).is_relative_to(root)]
    if not gone:
        raise UsageError(f"There is neither a collection {path!r} nor such a file in {collection.name!r}.")
    roots = tuple(each for each in collection.roots if not Path(each).is_relative_to(root))
    await shelf.store.change(collection, roots=roots)
    await shelf.store.forget(collection, gone)
    taken = counted(len(gone), "file")
    return f"{taken} taken out of {collection.name!r}; `rag add {path}` puts back without embedding."


@action("rag restore")
async def restore(session: Session, name: Annotated[str, "A removed collection"]) -> str:
    """Bring a removed collection back."""
    shelf = library(session.host)
    removed = [each for each in await shelf.store.collections(removed=True) if each.name == name]
    if not removed:
        raise UsageError(f"No removed collection is called {name!r}.")
    if await _found_or_none(shelf, name):
        raise UsageError(f"There is a new collection {name!r} by now; remove that first.")
    await shelf.store.change(removed[-1], removed=None)
    return f"{name!r} is back."


@action("rag purge")
async def purge(session: Session) -> str:
    """Free the disk of removed collections; they cannot be restored any longer."""
    shelf = library(session.host)
    removed = await shelf.store.collections(removed=True)
    size = sum([stats.size for each in removed if (stats := await _stats(shelf, each))])
    for each in removed:
        await shelf.store.drop(each)
    return f"{len(removed)} removed collections are gone, {human_bytes(size)}." if removed else "Nothing was removed."


@action("rag verify")
async def verify(
    session: Session,
    collection: Annotated[str, "Which; otherwise the usual one", names] = "",
) -> AsyncIterator[Event | str]:
    """Check an index against its files and its approximate search against exact search, and tune that."""
    shelf = library(session.host)
    chosen = await shelf.find(collection)
    rows = []
    yield Progress(f"Checking {chosen.name}")
    async with shelf.store.writing(), aclosing(shelf.store.verify(chosen, tune=True)) as checks:
        async for check in checks:
            yield Progress(f"Checking {chosen.name}: {check.name}")
            rows.append((check.name, "well" if check.good else "WRONG", check.said))
    stale = await asyncio.to_thread(_stale, await shelf.store.entries(chosen))
    said = f"{stale:,} files changed or went since: `rag add` reads them." if stale else "All are as they were read."
    rows.append(("disk", "well" if not stale else "old", said))
    yield table("rag.verify", ("what", "state", "seen"), rows)


def _stale(entries: Sequence[Entry]) -> int:
    """How many files are not as they were read."""
    count = 0
    for entry in entries:
        if entry.digest:
            try:
                now = Path(entry.path).stat()
            except OSError:
                count += 1
            else:
                count += (now.st_size, now.st_mtime_ns) != (entry.size, entry.mtime_ns)
    return count


ACTIONS = (add, list_, rm, restore, purge, verify)
