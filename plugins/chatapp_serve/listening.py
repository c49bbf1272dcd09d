"""Listening with uvicorn, inside an event loop that is there already."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from starlette.applications import Starlette

LINGER = 3
"""Seconds that answers under way have when it ends."""


@asynccontextmanager
async def listening(app: Starlette, bound: socket.socket) -> AsyncIterator[tuple[str, asyncio.Task[None]]]:
    """Serve while inside: the address, and a task that ends when the server does."""
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=LINGER,
        h11_max_incomplete_event_size=64 * 1024,
    )
    server = uvicorn.Server(config)
    host, port = bound.getsockname()[:2]
    bound.listen()
    # Not `serve`, which takes the signals: those are for whoever runs the loop.
    task = asyncio.create_task(server._serve([bound]))
    try:
        # The socket listens already: who comes before the server does waits in it.
        yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}", task
    finally:
        server.should_exit = True
        await asyncio.shield(asyncio.wait([task]))
        bound.close()
