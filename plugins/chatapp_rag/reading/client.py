"""Reading as the rest of the plugin sees it: a client of the service in the child process."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from typing import Any, Final

from chatapp import Worker, WorkerDied
from chatapp_rag.documents import Reading

TARGET: Final = "chatapp_rag.reading.service:Service"
_TICK: Final = 0.25


class FileReader:
    """Reads files in a child process, one at a time. A file that ends the child, or takes too long, gives a reason.

    `seconds` is how long a file may take; the time while the child is paused, because an answer streams, does not
    count. The next file is read by a fresh child.
    """

    def __init__(self, worker: Worker, seconds: float = 120.0) -> None:
        self._worker = worker
        self._seconds = seconds
        # One at a time, so that it is known which file a child died of.
        self._lock = asyncio.Lock()

    async def read(self, path: str, tokenizer: str, capacity: int) -> Reading:
        """The chunks of a file, or the reason why there are none; see `chatapp_rag.reading.service.Service.read`."""
        result, reason = await self._call("read", str(path), tokenizer, capacity, background=True)
        return Reading(reason=reason) if reason else result

    async def text(self, path: str) -> tuple[str, str, str]:
        """The title and the whole text of a file, and "" or the reason why there is none."""
        result, reason = await self._call("text", str(path), background=False)
        return ("", "", reason) if reason else result

    async def rest(self) -> None:
        """End the child process until the next file."""
        async with self._lock:
            await self._worker.rest()

    async def close(self) -> None:
        """End the child process."""
        await self._worker.close()

    async def _call(self, method: str, *arguments: Any, background: bool) -> tuple[Any, str]:
        async with self._lock:
            await self._worker.start()
            task = asyncio.create_task(self._worker.call(method, *arguments, background=background))
            try:
                late = not await self._waited(task)
            finally:
                if not task.done():
                    # Too late, or the user gave up: what is under way in native code cannot be stopped otherwise.
                    self._kill()
                    await asyncio.wait({task})
            try:
                return task.result(), ""
            except WorkerDied as error:
                if late:
                    return None, f"took longer than {self._seconds:g} s to read"
                return None, f"the reader crashed on it; {error}"

    async def _waited(self, task: asyncio.Task[Any]) -> bool:
        """Whether the call ended within its time."""
        left = self._seconds
        while left > 0:
            done, _ = await asyncio.wait({task}, timeout=min(_TICK, left))
            if done:
                return True
            left -= 0 if self._paused() else _TICK
        return False

    def _paused(self) -> bool:
        import psutil

        with suppress(psutil.NoSuchProcess):
            return self._worker.pid is not None and psutil.Process(self._worker.pid).status() == psutil.STATUS_STOPPED
        return False

    def _kill(self) -> None:
        if self._worker.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._worker.pid, signal.SIGKILL)
