"""Standard input and output as the way to the caller, until its end or SIGTERM."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import redirect_stdout, suppress
from typing import Any

import anyio
from mcp.server.stdio import stdio_server

from chatapp import Host
from chatapp_tools.serving.server import Served

LONGEST_LINE = 16 * 2**20
"""Bytes of one message."""


async def serve_stdio(host: Host) -> None:
    """Serve until the caller closes its end or sends SIGTERM; calls that are under way are cancelled then.

    Nothing else can write to standard output meanwhile: what is printed goes to standard error.
    """
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    server = Served(host).server()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    try:
        with anyio.CancelScope() as scope:
            watching = asyncio.create_task(_when(stop, scope))
            try:
                await _serve(server)
            finally:
                watching.cancel()
    except ExceptionGroup as group:
        # A caller that is gone: writing to it fails in whatever task writes.
        if group.split(OSError)[1] is not None:
            raise
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def _when(stop: asyncio.Event, scope: anyio.CancelScope) -> None:
    await stop.wait()
    scope.cancel()


async def _serve(server: Any) -> None:
    lines: Any = await _lines()
    async with stdio_server(stdin=lines) as (read_stream, write_stream):
        with redirect_stdout(sys.stderr):
            await server.run(read_stream, write_stream, server.create_initialization_options())


async def _lines() -> AsyncIterator[str] | None:
    """Standard input line by line, without a thread that waits in `read` and holds up the end; None for a file."""
    if not _is_pipe(0):
        return None
    wire = os.dup(0)
    # Children must find nothing to read there.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(wire, "rb", buffering=0)
    )
    return _decoded(reader)


def _is_pipe(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


async def _decoded(reader: asyncio.StreamReader) -> AsyncIterator[str]:
    # A line that is too long ends it: what follows would be taken for messages.
    with suppress(ValueError):
        while line := await reader.readline():
            yield line.decode("utf-8", "replace")
