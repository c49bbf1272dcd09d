"""The queue before the one engine."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chatapp_serve.refusing import Refused


class Turns:
    """Lets one request at a time have the engine; of those who wait, each client has one turn after the other.

    So a client with a hundred requests does not make one with a single request wait for all of them. `most` may wait.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = False
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(len(each) for each in self._waiting.values())

    @asynccontextmanager
    async def turn(self, client: str) -> AsyncIterator[None]:
        """Wait for this client's turn, and have the engine meanwhile; Refused when too many wait already."""
        if self._taken:
            await self._wait(client)
        self._taken = True
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, client: str) -> None:
        if self.waiting >= self._most:
            raise Refused(429, f"{self.waiting} requests wait already: come again later.", "rate_limit_exceeded")
        mine = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if mine.done() and not mine.cancelled():
                # The turn came in the moment in which the client went.
                self._pass_on()
            else:
                self._forget(client, mine)
            raise

    def _forget(self, client: str, mine: asyncio.Future[None]) -> None:
        queue = self._waiting.get(client)
        if queue is not None and mine in queue:
            queue.remove(mine)
            if not queue:
                del self._waiting[client]

    def _pass_on(self) -> None:
        for client in list(self._waiting):
            queue = self._waiting.pop(client)
            next_one = queue.popleft()
            if queue:
                # Its next request waits until every other client had a turn.
                self._waiting[client] = queue
            if not next_one.done():
                next_one.set_result(None)
                return
        self._taken = False
