"""A page served by a real `chatapp web`, whose chats answer with the example plugin's echo."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil


@dataclass(frozen=True, slots=True)
class Served:
    """A running `chatapp web`: its process, the printed address and the folder of all it keeps."""

    process: asyncio.subprocess.Process
    address: str
    home: Path

    @property
    def origin(self) -> str:
        """The address without path and token."""
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def token(self) -> str:
        """The token in the address."""
        return urlsplit(self.address).query.removeprefix("token=")

    def chats(self) -> list[psutil.Process]:
        """The processes of the open pages."""
        return psutil.Process(self.process.pid).children()


@asynccontextmanager
async def served(home: Path, *options: str) -> AsyncIterator[Served]:
    """Serve the page on any free port, and end it."""
    environ = {**os.environ, "CHATAPP_HOME": str(home)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chatapp", "--model", "echo", "web", "--port", "0", *options),
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        assert line.startswith("Open http://127.0.0.1:"), line
        yield Served(process, line.split()[1], home)
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        await process.communicate()


async def until_gone(processes: list[psutil.Process]) -> None:
    """Wait until all of them have ended; the test's own time limit ends it."""
    await asyncio.to_thread(_wait, processes)


def _wait(processes: list[psutil.Process]) -> None:
    # A process whose parent was killed may stay as a zombie where nobody collects it.
    while any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in processes):
        time.sleep(0.05)
