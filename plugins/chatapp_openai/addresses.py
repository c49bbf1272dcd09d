"""Which server a model's name means, and whether its address may be used: `--offline` allows this machine only."""

from __future__ import annotations

import asyncio
import re
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from chatapp import EngineError, Host, OfflineError
from chatapp_openai.options import OpenaiSettings, Server

NAME = re.compile(r"[A-Za-z0-9][\w.-]*")
MISPLACED = re.compile(r"key|token|secret|password", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """A server of the settings: its `name`, its values, and its checked address without a slash at the end."""

    name: str
    server: Server
    url: str
    local: bool

    @property
    def root(self) -> str:
        """The address without its /v1: where servers have what OpenAI's interface does not know."""
        return self.url.removesuffix("/v1")


def split_name(host: Host, model: str) -> tuple[str, str] | None:
    """The server's name and its own name for the model, for ``NAME/model``; None where no server has that name."""
    name, slash, rest = model.partition("/")
    return (name, rest) if slash and rest and name in host.config(OpenaiSettings).servers else None


def place_of(host: Host, name: str) -> Place:
    """The server of that name; EngineError in one sentence where its table in the settings cannot be used."""
    server = host.config(OpenaiSettings).servers.get(name)
    if server is None:
        raise EngineError(f"There is no server {name!r}: add a table [openai.servers.{name}] to the settings.")
    where = f"openai.servers.{name}"
    if NAME.fullmatch(name) is None:
        raise EngineError(f"A server cannot be called {name!r}: take letters, digits, dots and dashes for {where}.")
    _check_names(where, name, server)
    parts = _parts(server.url)
    if parts is None:
        raise EngineError(f"The setting {where}.url is no address of a server: give one like http://localhost:8000/v1.")
    if parts.username is not None or parts.query or parts.fragment:
        raise EngineError(
            f"The setting {where}.url holds more than an address: leave out what stands before the @ and after the ?; "
            f"`chatapp openai key {name}` keeps a key."
        )
    return Place(name, server, server.url.rstrip("/"), loopback(parts.hostname or ""))


def _check_names(where: str, name: str, server: Server) -> None:
    for each in server.strange:
        if each == "key_env":
            raise EngineError(
                f"The setting {where}.key_env names no environment variable in capital letters, such as GPU_KEY; if it "
                f"is the key itself, remove it there and run `chatapp openai key {name}`."
            )
        if MISPLACED.search(each):
            raise EngineError(
                f"The setting {where}.{each} is not used, as keys do not belong into that file: remove it there and "
                f"run `chatapp openai key {name}`."
            )
        raise EngineError(f"There is no setting {where}.{each}: there are {', '.join(Server.model_fields)}.")


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


def loopback(host: str) -> bool:
    """Whether a host's name or address is this machine by the look of it; only `localhost` is such a name."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


async def allow(host: Host, place: Place) -> None:
    """Raise OfflineError where the server is not on this machine and the user forbids the network.

    Of names only `localhost` is looked up, and must mean this machine: asking for others would use the network.
    """
    if not host.offline:
        return
    name = urlsplit(place.url).hostname or ""
    if not place.local or not all(map(loopback, await asyncio.to_thread(_found, name))):
        raise OfflineError(
            f"The server {place.name} ({place.url}) is not on this machine, and --offline forbids the network: choose "
            "a local model."
        )


def _found(name: str) -> list[str]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [str(each[4][0]).partition("%")[0] for each in found]
