"""Engines whose model lives in a child process: loaded once in each process, and again after one died."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

from chatapp.engine import Report
from chatapp.events import Progress
from chatapp.workers import Worker


class LoadedWorker(ABC):
    """A worker, which is this object's own, and whether its process holds what `fill` loads into it."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self._filled = 0

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return self.worker.pid

    @abstractmethod
    async def fill(self) -> None:
        """Have the child, which runs, load the model."""

    async def load(self) -> None:
        """Load the model unless a living child holds it; raises what `fill` raises."""
        await self.worker.start()
        if self._filled != self.worker.starts:
            await self.fill()
            self._filled = self.worker.starts

    async def opened(self, name: str, report: Report) -> Self:
        """This engine with its model, which is called `name`, loaded; where that fails, the child is ended."""
        report(Progress(f"Opening {name}"))
        try:
            await self.load()
        except BaseException:
            # Also when the user gave up: a half-loaded child must not stay.
            await self.close()
            raise
        return self

    def unload(self) -> None:
        """Have the next `load` fill the child again, also a living one."""
        self._filled = 0

    async def close(self) -> None:
        """End the child process."""
        await self.worker.close()
