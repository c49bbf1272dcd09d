"""Work that is done between two questions, so that the next one need not wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from chatapp import EngineError, Worker, WorkerError

PAUSE = 0.1
"""Seconds of rest before it begins: several calls come one after another before an answer."""


class Settling:
    """Lets the child read again what it answered, whenever nobody else wants the child.

    An answer written under an activated adapter stands before the next place where the adapter is switched on, so the
    next prompt wants it read without. `due` says that there may be something to read.
    """

    def __init__(self, worker: Worker) -> None:
        self.due = False
        self._worker = worker
        self._users = 0
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Keep away while the child is used for something else; what was read so far is kept."""
        self._users += 1
        try:
            await self.stop()
            yield
        finally:
            self._users -= 1
            if self.due and not self._users and self._task is None:
                self._task = asyncio.create_task(self._settle())

    async def wait(self) -> None:
        """Wait until all is read, or something else came between."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """Stop within a token."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _settle(self) -> None:
        await asyncio.sleep(PAUSE)
        # It only reads ahead: where it fails, the next question does the same, and says what is wrong.
        with suppress(WorkerError, EngineError):
            if self._worker.alive:
                await self._worker.call("settle", background=True)
        self.due = False
        self._task = None
