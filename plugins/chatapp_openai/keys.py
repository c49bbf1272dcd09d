"""The servers' keys: in an environment variable or in the system's keyring, never in a file of ours."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Protocol, TypeVar

from chatapp import EngineError
from chatapp_openai.addresses import Place

SERVICE = "chatapp"
"""Under which the keyring has them; the user's name is ``openai:NAME``."""
SHORTEST = 4
"""Shorter keys are no secret: what servers without keys are given, and hiding them would blot texts out."""
T = TypeVar("T")


class _Ring(Protocol):
    """What of a keyring is used."""

    def get_password(self, service: str, username: str) -> str | None: ...
    def set_password(self, service: str, username: str, password: str) -> None: ...
    def delete_password(self, service: str, username: str) -> None: ...


async def key_of(place: Place) -> str:
    """The server's key, "" where it has none; EngineError where the settings name a variable that holds none."""
    variable = place.server.key_env
    if not variable:
        try:
            return await asyncio.to_thread(_asked, lambda ring, name: ring.get_password(SERVICE, name), place) or ""
        except EngineError:
            # No keyring, or a locked one: many servers want no key, and one that does will say so.
            return ""
    key = os.environ.get(variable, "").strip()
    if not usable(key):
        raise EngineError(
            f"The environment variable {variable}, named in openai.servers.{place.name}.key_env, holds no key: put the "
            "server's key there."
        )
    return key


async def need_ring(place: Place) -> None:
    """Raise EngineError where there is no keyring."""
    await asyncio.to_thread(_asked, lambda ring, name: ring.get_password(SERVICE, name), place)


async def keep(place: Place, key: str) -> None:
    """Put the key into the keyring; EngineError where there is none."""
    await asyncio.to_thread(_asked, lambda ring, name: ring.set_password(SERVICE, name, key), place)


async def remove(place: Place) -> bool:
    """Take the key out of the keyring; False where it holds none. EngineError where there is no keyring."""
    return await asyncio.to_thread(_asked, _remove, place)


def _remove(ring: _Ring, name: str) -> bool:
    if ring.get_password(SERVICE, name) is None:
        return False
    ring.delete_password(SERVICE, name)
    return True


def usable(key: str) -> bool:
    """Whether a text can be a key: it must go into a line of a request."""
    return bool(key) and key.isascii() and key.isprintable()


def how_to_set(place: Place) -> str:
    """What a user does about a key that is missing or wrong."""
    variable = place.server.key_env
    return f"set {variable} anew" if variable else f"run `chatapp openai key {place.name}`"


def masked(text: str, key: str) -> str:
    """The text without the key in it: servers repeat what they are sent."""
    return text.replace(key, "…") if len(key) >= SHORTEST else text


def _asked(ask: Callable[[_Ring, str], T], place: Place) -> T:
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        raise EngineError("The keyring is not installed; pip install 'chatapp[openai]' would.") from None
    try:
        return ask(keyring.get_keyring(), f"openai:{place.name}")
    except KeyringError as error:
        raise EngineError(
            f"This machine has no keyring that could be used: name an environment variable in "
            f"openai.servers.{place.name}.key_env instead."
        ) from error
