"""`/openai list` and `chatapp openai key`."""

from __future__ import annotations

import asyncio
import getpass
import sys
from collections.abc import Iterable
from typing import Annotated

from chatapp import ChatappError, Data, PlainUI, Session, UsageError, action, table
from chatapp_openai.options import OpenaiSettings, Server

SECONDS = 5.0
LONGEST = 300
"""Characters of a server's models that are listed."""


def _servers(session: Session, prefix: str) -> Iterable[str]:
    return session.host.config(OpenaiSettings).servers


@action("openai list")
async def list_(session: Session) -> Data:
    """List the servers of the settings: where each is, where its key is, and what it has now."""
    servers = session.host.config(OpenaiSettings).servers
    rows = await asyncio.gather(*(_row(session, name, server) for name, server in servers.items()))
    empty = "There is no server yet: add a table [openai.servers.NAME] with its url to the settings file."
    return table("openai", ("server", "address", "key", "models"), rows, empty)


async def _row(session: Session, name: str, server: Server) -> tuple[str, str, str, str]:
    from chatapp_openai.addresses import place_of
    from chatapp_openai.connecting import connect
    from chatapp_openai.failing import Failures
    from chatapp_openai.keys import key_of

    try:
        place = place_of(session.host, name)
        key = server.key_env or ("keyring" if await key_of(place) else "none")
        link = await connect(session.host, place)
    except ChatappError as error:
        return name, str(server), "", str(error)
    failures: Failures = link.failures
    try:
        async with asyncio.timeout(SECONDS):
            found = [each.id for each in await link.models(SECONDS) or ()]
        models = ", ".join(dict.fromkeys([*server.models, *found])) or "(it does not list them)"
    except Exception as error:  # noqa: BLE001 - of every server one sentence, whatever it does
        models = str(failures.of(error))
    finally:
        await link.close()
    return name, str(server), key, models if len(models) <= LONGEST else f"{models[:LONGEST]} …"


@action("openai key")
async def key(
    session: Session,
    name: Annotated[str, "A server of the settings", _servers],
    *,
    remove: Annotated[bool, "Take the key out"] = False,
) -> str:
    """Keep a server's key in the system's keyring; it is asked for and not shown. --remove takes it out.

    From a script it is read from standard input. It is never written to a file of chatapp's.
    """
    from chatapp_openai.addresses import place_of
    from chatapp_openai.keys import keep, need_ring, usable
    from chatapp_openai.keys import remove as take_out

    place = place_of(session.host, name)
    if remove:
        held = await take_out(place)
        return f"The keyring holds no key of {name} any more." if held else f"The keyring holds no key of {name}."
    if not isinstance(session.ui, PlainUI):
        # What is typed here would be seen, and kept with the conversation.
        raise UsageError(f"Keys are typed in the shell, where they are not shown: chatapp openai key {name}.")
    await need_ring(place)
    typed = (await asyncio.to_thread(_typed, name)).strip()
    if not usable(typed):
        raise UsageError("That is no key: keys are a line of letters, digits and signs.")
    await keep(place, typed)
    variable = place.server.key_env
    ignored = f" It is not used as long as openai.servers.{name}.key_env names {variable}." if variable else ""
    return f"The key of {name} is in the keyring.{ignored}"


def _typed(name: str) -> str:
    return getpass.getpass(f"Key of {name} (not shown): ") if sys.stdin.isatty() else sys.stdin.readline()
