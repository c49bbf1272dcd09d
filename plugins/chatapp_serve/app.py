"""The web application: which function answers which request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any, TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from chatapp import Host, Session
from chatapp_serve.answering import Answering
from chatapp_serve.bodies import Chat, Embed, Paint
from chatapp_serve.making import Making
from chatapp_serve.naming import listed, wanted
from chatapp_serve.options import ServeSettings
from chatapp_serve.quiet import Quiet
from chatapp_serve.reading import admit, read, while_there
from chatapp_serve.refusing import Refused

Answer: TypeAlias = "Callable[[Request], Awaitable[Response]]"
Chunk: TypeAlias = dict[str, Any]
GONE = 499
"""What is noted for a client that went away; nobody reads it."""


class Api:
    """The application on one host. With a `token` every request must carry it; without, only this machine is served."""

    def __init__(self, host: Host, token: str = "") -> None:
        self.host = host
        self._token = token
        self._largest = host.config(ServeSettings).largest
        self.answering = Answering(host)
        self._making = Making(host)
        routes: list[tuple[str, str, Answer]] = [
            ("/v1/chat/completions", "POST", self.chat),
            ("/v1/models", "GET", self.models),
            ("/v1/models/{name:path}", "GET", self.model),
            ("/v1/embeddings", "POST", self.embed),
            ("/v1/images/generations", "POST", self.paint),
        ]
        self.app = Starlette(
            routes=[Route(path, self._guarded(answer), methods=[method]) for path, method, answer in routes],
            exception_handlers={HTTPException: _unknown},
        )

    def _guarded(self, answer: Answer) -> Answer:
        async def guarded(request: Request) -> Response:
            try:
                admit(request, self._token)
                return await answer(request)
            except Refused as refused:
                return refused.response()
            except ClientDisconnect:
                return Response(status_code=GONE)

        return guarded

    async def chat(self, request: Request) -> Response:
        """`/v1/chat/completions`."""
        body = await read(request, Chat, self._largest)
        client = body.user or (request.client.host if request.client else "")
        if not body.stream:
            return JSONResponse(await while_there(request, self.answering.whole(body, client)))
        chunks = self.answering.streamed(body, client)
        # What fails before the first word is an error like any other, not an event in an answer.
        first = await while_there(request, anext(chunks))
        return EventStream(first, chunks)

    async def models(self, request: Request) -> Response:
        """`/v1/models`."""
        names = await asyncio.to_thread(listed, self._session())
        return JSONResponse({"object": "list", "data": [_model(name) for name in names]})

    async def model(self, request: Request) -> Response:
        """`/v1/models/NAME`."""
        name = request.path_params["name"]
        await asyncio.to_thread(wanted, self._session(), name)
        return JSONResponse(_model(name))

    async def embed(self, request: Request) -> Response:
        """`/v1/embeddings`."""
        body = await read(request, Embed, self._largest)
        return JSONResponse(await while_there(request, self._making.vectors(body)))

    async def paint(self, request: Request) -> Response:
        """`/v1/images/generations`."""
        body = await read(request, Paint, self._largest)
        return JSONResponse(await while_there(request, self._making.pictures(body)))

    def _session(self) -> Session:
        return Session(self.host, ui=Quiet(), keep=False)


class EventStream(StreamingResponse):
    """An answer as server-sent events, of which the first chunk is there; who goes away ends the others."""

    def __init__(self, first: Chunk, chunks: AsyncGenerator[Chunk, None]) -> None:
        self._chunks = chunks
        super().__init__(_lines(first, chunks), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        async with aclosing(self._chunks):
            await super().__call__(scope, receive, send)


async def _lines(first: Chunk, chunks: AsyncIterator[Chunk]) -> AsyncIterator[str]:
    """The events; what fails in mid-answer is the last of them."""
    yield _line(first)
    try:
        async for each in chunks:
            yield _line(each)
    except Refused as refused:
        yield _line(refused.body())
        return
    yield "data: [DONE]\n\n"


def _line(value: Chunk) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "chatapp"}


async def _unknown(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return Refused(status, f"There is no {request.method} {request.url.path} here.").response()
