"""`/rag watch`: a collection that follows its files while the application runs."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from weakref import WeakKeyDictionary

from chatapp import ChatappError, Host, Session
from chatapp_rag.collection import Collection
from chatapp_rag.library import Library
from chatapp_rag.updating import update
from chatapp_rag.writing import Outcome

_watched: WeakKeyDictionary[Host, dict[str, asyncio.Task[None]]] = WeakKeyDictionary()


def toggle(session: Session, library: Library, collection: Collection) -> bool:
    """Watch the collection, or stop watching it; whether it is watched now."""
    tasks = _watched.setdefault(library.host, {})
    task = tasks.pop(collection.id, None)
    if task is not None and not task.done():
        task.cancel()
        return False
    tasks[collection.id] = asyncio.create_task(_follow(session, library, collection))
    return True


async def stop(host: Host) -> None:
    """End all watching of this host."""
    tasks = list(_watched.pop(host, {}).values())
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)


async def _follow(session: Session, library: Library, collection: Collection) -> None:
    from watchfiles import awatch

    async with aclosing(awatch(*collection.roots, recursive=True)) as changes:
        async for _ in changes:
            try:
                await _catch_up(session, library, collection)
            except ChatappError as error:
                # The next change tries again.
                session.ui.notify(f"{collection.name} could not be brought up to date: {error}", "warning")


async def _catch_up(session: Session, library: Library, collection: Collection) -> None:
    paths = [Path(root) for root in collection.roots]
    async with aclosing(update(session, library, collection, paths)) as steps:
        async for step in steps:
            if isinstance(step, Outcome) and (step.new or step.changed or step.moved or step.removed):
                session.ui.notify(f"{collection.name}: {step.sentence()}")
