"""The web application: who is let in, what is read of a request, and which function answers it."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import aclosing, suppress
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from chatapp import Host, Session
from chatapp_serve.answering import Answering
from chatapp_serve.bodies import Chat, Embed, Paint
from chatapp_serve.making import pictures, vectors
from chatapp_serve.naming import listed
from chatapp_serve.options import ServeSettings
from chatapp_serve.queueing import Turns
from chatapp_serve.quiet import Quiet
from chatapp_serve.refusing import Refused

Body = TypeVar("Body", bound=BaseModel)
Result = TypeVar("Result")
GONE = 499
"""What is noted for a client that went away; nobody reads it."""


class Api:
    """The application on one host. With a `token` every request must carry it; without, only this machine is served."""

    def __init__(self, host: Host, token: str = "") -> None:
        self.host = host
        self._token = token
        self._options = host.config(ServeSettings)
        self.turns = Turns(self._options.queue)
        self._making = Turns(self._options.queue)
        self._answering = Answering(host, self.turns, self._options.seconds, self._options.choices)
        routes: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
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

    def _guarded(self, answer: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            try:
                self._admit(request)
                return await answer(request)
            except Refused as refused:
                return refused.response()
            except ClientDisconnect:
                return Response(status_code=GONE)

        return guarded

    def _admit(self, request: Request) -> None:
        """Let in who has the token; without one, who speaks to this machine by its own name."""
        if self._token:
            given = request.headers.get("Authorization", "").removeprefix("Bearer ")
            if not hmac.compare_digest(given.encode(), self._token.encode()):
                raise Refused(401, "Give the server's token as the API key.", "invalid_api_key")
        elif not is_here(request.url.hostname or ""):
            # A page that gave its own name this machine's address could else read answers.
            raise Refused(403, "Without a token only this machine is answered, by its own address.")
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"{request.url.scheme}://{request.url.netloc}":
            raise Refused(403, "Pages of other sites may not use this server.")

    async def _read(self, request: Request, kind: type[Body]) -> Body:
        """The body, checked; Refused says what is wrong with it."""
        if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            raise Refused(415, "Send JSON, with the header Content-Type: application/json.")
        limit = self._options.largest * 2**20
        data = bytearray()
        async for piece in request.stream():
            data += piece
            if len(data) > limit:
                raise Refused(413, f"The request is larger than {self._options.largest} MB.")
        try:
            return kind.model_validate(json.loads(data))
        except ValidationError as error:
            found = error.errors()[0]
            place = ".".join(str(each) for each in found["loc"])
            raise Refused(400, f"{place or 'The body'}: {found['msg']}.") from error
        except (ValueError, RecursionError) as error:
            raise Refused(400, "The body is not JSON.") from error

    async def chat(self, request: Request) -> Response:
        """`/v1/chat/completions`."""
        body = await self._read(request, Chat)
        client = body.user or (request.client.host if request.client else "")
        if not body.stream:
            return JSONResponse(await _while_there(request, self._answering.whole(body, client)))
        first = await self._answering.session(body, 0)
        if self.turns.waiting >= self._options.queue:
            raise Refused(429, f"{self.turns.waiting} requests wait already: come again later.", "rate_limit_exceeded")
        chunks = self._answering.streamed(body, first, client)
        return StreamingResponse(_lines(chunks), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def models(self, request: Request) -> Response:
        """`/v1/models`."""
        names = await asyncio.to_thread(listed, self._session())
        return JSONResponse({"object": "list", "data": [_model(name) for name in names]})

    async def model(self, request: Request) -> Response:
        """`/v1/models/NAME`."""
        name = request.path_params["name"]
        if name not in await asyncio.to_thread(listed, self._session()):
            raise Refused(404, f"There is no model {name!r} here: /v1/models lists what there is.", "model_not_found")
        return JSONResponse(_model(name))

    async def embed(self, request: Request) -> Response:
        """`/v1/embeddings`."""
        body = await self._read(request, Embed)
        async with self._making.turn("embed"):
            return JSONResponse(await _while_there(request, vectors(self.host, body)))

    async def paint(self, request: Request) -> Response:
        """`/v1/images/generations`."""
        body = await self._read(request, Paint)
        async with self._making.turn("paint"):
            return JSONResponse(await _while_there(request, pictures(self.host, body, self._options.choices)))

    def _session(self) -> Session:
        return Session(self.host, ui=Quiet(), keep=False)


def is_here(host: str) -> bool:
    """Whether a host's name is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "chatapp"}


async def _unknown(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return Refused(status, f"There is no {request.method} {request.url.path} here.").response()


async def _lines(chunks: AsyncGenerator[dict[str, Any], None]) -> AsyncIterator[str]:
    """Server-sent events; what fails in mid-answer is the last of them."""
    async with aclosing(chunks):
        try:
            async for each in chunks:
                yield f"data: {json.dumps(each, ensure_ascii=False)}\n\n"
        except Refused as refused:
            yield f"data: {json.dumps(refused.body(), ensure_ascii=False)}\n\n"
            return
        yield "data: [DONE]\n\n"


async def _while_there(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """What `work` gives, unless the client goes away: then it is stopped, and ClientDisconnect raised."""
    task, gone = asyncio.ensure_future(work), asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait([task, gone], return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        for each in (task, gone):
            each.cancel()
        with suppress(asyncio.CancelledError, Refused):
            await task


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
