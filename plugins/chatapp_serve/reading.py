"""Reading requests: who is let in, what a body says, and whether the client is still there."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import json
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from chatapp_serve.refusing import Refused

Body = TypeVar("Body", bound=BaseModel)
Result = TypeVar("Result")


def admit(request: Request, token: str) -> None:
    """Let in who has the token; without one, who speaks to this machine by its own name. Refused for all others."""
    host = request.headers.get("Host", "")
    if token:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode("latin-1"), token.encode()):
            raise Refused(401, "Give the server's token as the API key.", "invalid_api_key")
    elif not is_here(_name(host)):
        # A page that gave its own name this machine's address could else read answers.
        raise Refused(403, "Without a token only this machine is answered, by its own address.")
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.url.scheme}://{host}":
        raise Refused(403, "Pages of other sites may not use this server.")


def _name(host: str) -> str:
    """The name in a Host header, empty for one that is none."""
    try:
        return urlsplit(f"//{host}").hostname or "" if "@" not in host else ""
    except ValueError:
        return ""


def is_here(host: str) -> bool:
    """Whether a host's name is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


async def read(request: Request, kind: type[Body], largest: int) -> Body:
    """The body, of at most `largest` MB, checked; Refused says what is wrong with it."""
    # A page of another site can send a form's types without asking first, but not this one.
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "Send JSON, with the header Content-Type: application/json.")
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > largest * 2**20:
            raise Refused(413, f"The request is larger than {largest} MB.")
    return await asyncio.to_thread(_checked, bytes(data), kind)


def _checked(data: bytes, kind: type[Body]) -> Body:
    try:
        found = json.loads(data)
        # Half a character can be written in JSON, and be read by no model.
        json.dumps(found, ensure_ascii=False).encode()
        return kind.model_validate(found)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(str(each) for each in problem["loc"])
        raise Refused(400, f"{place or 'The body'}: {problem['msg']}.") from error
    except UnicodeEncodeError as error:
        raise Refused(400, "The body has half of a character in it (a lone surrogate).") from error
    except (ValueError, RecursionError) as error:
        raise Refused(400, "The body is not JSON.") from error


async def while_there(request: Request, work: Awaitable[Result]) -> Result:
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
