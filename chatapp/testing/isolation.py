"""A test's own home and no network: nothing of the user's is touched, nothing outside this machine is reached."""

from __future__ import annotations

import ipaddress
import os
import site
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

CLEARED = ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME")


class NetworkRefused(RuntimeError):
    """A test reached for the network. No OSError: code that tries again or does without must not hide it."""


def own_home(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Let `folder` be the home of chatapp, and a folder in it the user's; chatapp's own variables are cleared."""
    for name in [name for name in os.environ if name.startswith("CHATAPP_") or name in CLEARED]:
        patch.delenv(name)
    # Packages that were installed with --user are found through the home, also by child processes.
    patch.setenv("PYTHONUSERBASE", site.getuserbase())
    home = folder / "home"
    home.mkdir(exist_ok=True)
    patch.setenv("CHATAPP_HOME", str(folder))
    patch.setenv("HOME", str(home))
    patch.setenv("USERPROFILE", str(home))


def refuse_network(patch: pytest.MonkeyPatch) -> None:
    """Let every connection of this process but those to itself raise NetworkRefused."""
    for name, place in (("connect", 0), ("connect_ex", 0), ("sendto", -1)):
        patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name), place))
    resolve = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *more: Any, **options: Any) -> Any:
        _check((host, port))
        return resolve(host, port, *more, **options)

    patch.setattr(socket, "getaddrinfo", getaddrinfo)


def _guarded(real: Callable[..., Any], place: int) -> Callable[..., Any]:
    def guarded(connection: socket.socket, *arguments: Any) -> Any:
        _check(arguments[place])
        return real(connection, *arguments)

    return guarded


def _check(address: Any) -> None:
    """Raise unless the address is this machine's own; one that is no (host, port) is not of the internet."""
    if isinstance(address, tuple) and not _is_local(_text(address[0])):
        where = ":".join(_text(part) for part in address[:2] if part is not None)
        raise NetworkRefused(
            f"This test reaches for {where}, and tests of chatapp plugins have no network: "
            "let it ask a server of its own on 127.0.0.1, or mark it with @pytest.mark.network."
        )


def _text(part: Any) -> str:
    return part.decode() if isinstance(part, bytes) else str("" if part is None else part)


def _is_local(host: str) -> bool:
    if host in ("", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
