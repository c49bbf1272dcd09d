"""`chatapp web`."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import sys
from collections.abc import AsyncIterator
from typing import Annotated

from chatapp import Event, Notice, Session, Text, UsageError, action
from chatapp_web.options import WebSettings

HERE = "127.0.0.1"


@action("web")
async def web(
    session: Session,
    *,
    port: Annotated[int | None, "The port; 0 takes any that is free"] = None,
    host: Annotated[str, "The address to listen on; anything but this machine is reached unencrypted"] = HERE,
    browser: Annotated[bool, "Open the page in the browser"] = False,
) -> AsyncIterator[Event]:
    """Serve this chat as a page for the browser, until Ctrl+C."""
    if session.keep:
        raise UsageError("The page is served from the shell: leave the chat and run `chatapp web`.")
    try:
        from chatapp_web.serving import Page, serving
    except ModuleNotFoundError as error:
        raise UsageError(f"The page needs the Python package {error.name!r}: pip install 'chatapp[web]'.") from error
    options = session.host.config(WebSettings)
    page = Page(command(session), host, options.port if port is None else port, options.font_size, options.most)
    try:
        async with serving(page) as address:
            yield Text(f"Open {address}\nWhoever has this address can chat here; Ctrl+C ends it.\n")
            if not is_here(host):
                yield Notice(
                    f"Everyone who reaches {host} sees what is sent, the address included: there is no encryption. "
                    "Safer is `ssh -L` from the other machine.",
                    "warning",
                )
            if browser:
                import webbrowser

                await asyncio.to_thread(webbrowser.open, address)
            await asyncio.Event().wait()
    except OSError as error:
        raise UsageError(_trouble(error, host, page.port)) from error


def command(session: Session) -> list[str]:
    """What each page runs: this application, with the model and the permission for the network given here."""
    core = session.host.settings.core
    return [sys.executable, "-m", "chatapp", *(["--offline"] if core.offline else []), *_model(core.model)]


def _model(name: str) -> list[str]:
    return ["--model", name] if name else []


def is_here(host: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _trouble(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is taken: end what uses it, or choose another with --port, 0 for any that is free."
    if error.errno == errno.EACCES:
        return f"Port {port} is not open to you: choose one above 1023 with --port."
    return f"The page cannot be served on {host!r}: {error.strerror or error}. Leave out --host for this machine."
