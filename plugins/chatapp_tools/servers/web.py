"""The streamable HTTP transport: the SDK's own, with a bound on how much one answer may be."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client.streamable_http import streamable_http_client

from chatapp_tools.servers.configured import Entry
from chatapp_tools.servers.piped import Child

LARGEST_ANSWER = 16 * 2**20
"""Bytes of one event, or of one answer that is no stream of events."""
CONNECT_SECONDS = 10.0
SIGN_IN = 401
"""The HTTP status with which a server wants to know who asks (RFC 9110)."""


@asynccontextmanager
async def web(child: Child) -> AsyncGenerator[tuple[Any, Any], None]:
    """Connect to the server's address, with the headers the user gave; redirects to other places are not followed.

    A server that wants its user to sign in is over: that is `child.why`.
    """
    entry = child.entry

    async def looked_at(response: httpx2.Response) -> None:
        if response.status_code == SIGN_IN:
            child.why = _sign_in(entry)
            child.over.set()
        await _bounded(response)

    # How long an answer may take is bounded by whoever waits for it; streams of events are silent for long.
    patience = httpx2.Timeout(CONNECT_SECONDS, read=None)
    hooks = {"response": [looked_at]}
    async with (
        # No proxy of the environment's stands between this machine and itself.
        httpx2.AsyncClient(
            headers=dict(entry.headers), timeout=patience, event_hooks=hooks, trust_env=not entry.local
        ) as client,
        streamable_http_client(entry.url, http_client=client, max_sse_event_size=LARGEST_ANSWER) as streams,
    ):
        yield streams


def _sign_in(entry: Entry) -> str:
    """What to do about it; signing in by a browser (OAuth) is not done here."""
    if any(name.lower() == "authorization" for name in entry.headers):
        return "does not accept the Authorization among its headers: get a new token there and give that"
    return (
        "needs you to sign in, which cannot be done from here: get a token from who runs it and give it in its entry "
        'as "headers": {"Authorization": "Bearer TOKEN"}'
    )


async def _bounded(response: httpx2.Response) -> None:
    """Have an answer that is too large broken off while it is read."""
    events = response.headers.get("content-type", "").startswith("text/event-stream")
    if not events and isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Counted(response.stream)


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._stream:
            size += len(chunk)
            if size > LARGEST_ANSWER:
                raise httpx2.ReadError(f"the answer is larger than {LARGEST_ANSWER // 2**20} MB")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()
