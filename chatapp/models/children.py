"""Child processes that do the fetching: always reaped, and killed the moment their user loses interest."""

from __future__ import annotations

import asyncio
import contextlib
import os
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def child(
    *command: str,
    env: Mapping[str, str] | None = None,
    stdin: int = DEVNULL,
    stdout: int = DEVNULL,
    stderr: Any = DEVNULL,
) -> AsyncIterator[Process]:
    """Run `command` (with `env` added to our environment) while the body runs; kill it if it is still there after.

    The child gets no terminal: Ctrl+C is for chatapp to handle.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, **(env or {})},
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        await _end(process)


async def _end(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        if process.returncode is None:
            process.kill()
    if process.stdin is not None:
        process.stdin.close()
    # Reading to the end lets asyncio close the pipes; otherwise they would be reported as leaked.
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            await pipe.read()
    await process.wait()
