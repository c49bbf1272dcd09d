"""Listening with uvicorn, inside an event loop that is there already."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import h11
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from chatapp_serve.refusing import Refused

LINGER = 2.0
"""Seconds that answers under way have when it ends."""
HEAD = 64 * 1024
"""Bytes that the head of a request may have."""


class Connection(H11Protocol):
    """A connection on which each request has to arrive within `patience` seconds, its body included.

    Uvicorn has no such limit: whoever sends a byte now and then would hold a connection for ever.
    """

    patience = 60.0
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Go on waiting unless the request is whole."""
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        self._stop()

    def _wait(self) -> None:
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY):
            self._stop()
        elif self._late is None:
            self._late = self.loop.call_later(self.patience, self._give_up)

    def _stop(self) -> None:
        if self._late is not None:
            self._late.cancel()
        self._late = None

    def _give_up(self) -> None:
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = json.dumps(Refused(408, f"The request did not arrive within {self.patience:g} s.").body())
            head = f"HTTP/1.1 408 \r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            self.transport.write(f"{head}Connection: close\r\n\r\n{body}".encode())
        self.transport.close()


class _Server(uvicorn.Server):
    """A server that leaves the signals to whoever runs the loop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take none."""
        yield


@asynccontextmanager
async def listening(app: Starlette, bound: socket.socket) -> AsyncIterator[tuple[str, asyncio.Task[None]]]:
    """Serve while inside: the address, and a task that ends when the server does."""
    config = uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        # Nobody's word is taken for who asks.
        proxy_headers=False,
        h11_max_incomplete_event_size=HEAD,
    )
    server = _Server(config)
    host, port = bound.getsockname()[:2]
    bound.listen()
    task = asyncio.create_task(server.serve([bound]))
    try:
        # The socket listens already: who comes before the server does waits in it.
        yield f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}", task
    finally:
        await asyncio.shield(_end(server, task))
        bound.close()


async def _end(server: uvicorn.Server, task: asyncio.Task[None]) -> None:
    """End the server; answers that take too long are cut."""
    server.should_exit = True
    await asyncio.wait([task], timeout=LINGER)
    # Their tasks end by themselves when the connection is gone; uvicorn would cancel them and print a traceback.
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    await asyncio.wait([task])
