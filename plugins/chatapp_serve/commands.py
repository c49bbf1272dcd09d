"""`chatapp serve`."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from chatapp import Event, Notice, Session, Text, UsageError, action
from chatapp_serve.options import ServeSettings

HERE = "127.0.0.1"
VARIABLE = "CHATAPP_SERVE_TOKEN"
SHORTEST = 16
"""Characters of a token: fewer could be guessed."""


@action("serve")
async def serve(
    session: Session,
    *,
    port: Annotated[int | None, "The port; 0 takes any that is free"] = None,
    host: Annotated[str, "The address to listen on; anything but this machine needs a token"] = HERE,
    token_file: Annotated[Path | None, "A file with the token clients must give as their API key"] = None,
) -> AsyncIterator[Event]:
    """Answer other programs by OpenAI's interface, until Ctrl+C."""
    if session.keep:
        raise UsageError("Other programs are answered from the shell: leave the chat and run `chatapp serve`.")
    try:
        from chatapp_serve.app import Api
        from chatapp_serve.listening import listening
        from chatapp_serve.reading import is_here
    except ModuleNotFoundError as error:
        raise UsageError(f"It needs the Python package {error.name!r}: pip install 'chatapp[serve]'.") from error
    token, made = _token(token_file), ""
    if not token and not is_here(host):
        token = made = secrets.token_urlsafe(24)
    api = Api(session.host, token)
    options = session.host.config(ServeSettings)
    async with listening(api.app, _bound(host, options.port if port is None else port)) as (address, until):
        yield Text(f"Answering on {address}/v1\nCtrl+C ends it.\n")
        if made:
            yield Text(f"The token, to be given as the API key: {made}\n")
        if not is_here(host):
            yield Notice("What is sent is not encrypted: use it in a network you trust, or behind a proxy.", "warning")
        # Ctrl+C must not cancel the server, which has answers to end.
        await asyncio.shield(until)


def _token(path: Path | None) -> str:
    if path is None:
        token = os.environ.get(VARIABLE, "").strip()
    else:
        try:
            token = path.read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            raise UsageError(f"The token cannot be read from {path}: {error}.") from error
    if (token or path is not None) and len(token) < SHORTEST:
        raise UsageError(f"The token has {len(token)} characters; take {SHORTEST} or more.")
    return token


def _bound(host: str, port: int) -> socket.socket:
    """A socket that listens there; UsageError in one sentence when that cannot be."""
    try:
        kind, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        made = socket.socket(kind, socket.SOCK_STREAM)
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
        except OSError:
            made.close()
            raise
    except OSError as error:
        raise UsageError(
            f"Port {port} on {host!r} cannot be used ({error.strerror or error}): choose another, 0 for any free one."
        ) from error
    return made
