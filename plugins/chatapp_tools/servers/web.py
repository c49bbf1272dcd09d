"""The streamable HTTP transport: the SDK's own, with a bound on how much one answer may be."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from mcp.client.streamable_http import streamable_http_client

from chatapp_tools.servers.configured import Entry

LARGEST_ANSWER = 16 * 2**20
"""Bytes of one event, or of one answer that is no stream of events."""
CONNECT_SECONDS = 10.0


@asynccontextmanager
async def web(entry: Entry) -> AsyncGenerator[tuple[Any, Any], None]:
    """Connect to the server's address, with the headers the user gave; redirects to other places are not followed."""
    # How long an answer may take is bounded by whoever waits for it; streams of events are silent for long.
    patience = httpx2.Timeout(CONNECT_SECONDS, read=None)
    hooks = {"response": [_bounded]}
    async with (
        # No proxy of the environment's stands between this machine and itself.
        httpx2.AsyncClient(
            headers=dict(entry.headers), timeout=patience, event_hooks=hooks, trust_env=not entry.local
        ) as client,
        streamable_http_client(entry.url, http_client=client, max_sse_event_size=LARGEST_ANSWER) as streams,
    ):
        yield streams


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
