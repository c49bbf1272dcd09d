"""Commands about plugins: what there is, what is on, making, installing and removing one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Annotated

from chatapp.actions import action, similar
from chatapp.commands.table import table
from chatapp.errors import UsageError
from chatapp.messages import Data
from chatapp.session import Session


def _names(session: Session, prefix: str) -> Iterable[str]:
    return session.host.plugins


def _disabled(session: Session, prefix: str) -> Iterable[str]:
    return session.host.settings.core.plugins.disabled


@action("plugin")
async def plugin(session: Session) -> Data:
    """List the plugins; the commands about them begin with this word."""
    return _listed(session)


@action("plugin list")
async def list_(session: Session) -> Data:
    """List the plugins: name, state, where from, and what is wrong with one that failed."""
    return _listed(session)


def _listed(session: Session) -> Data:
    rows = []
    for plugin in session.host.plugins.values():
        trouble = "; ".join([*filter(None, [plugin.error]), *plugin.reported])
        advice = f"{trouble} Try: {plugin.mend}" if plugin.mend else trouble
        rows.append((plugin.name, plugin.state, plugin.origin, plugin.version, plugin.where, advice))
    return table("plugins", ("name", "state", "from", "version", "where", "error"), rows)


@action("plugin path")
async def path(session: Session) -> str:
    """Show the folder whose files are plugins; it is made when it is missing."""
    folder = session.host.paths.config / "plugins"
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    return str(folder)


@action("plugin enable")
async def enable(session: Session, name: Annotated[str, "A plugin that is off", _disabled]) -> str:
    """Switch a plugin on, now and from now on."""
    host = session.host
    off = host.settings.core.plugins.disabled
    if name not in host.plugins and name not in off:
        raise UsageError(_unknown(session, name))
    if name in off:
        host.set_config("plugins", "disabled", [each for each in off if each != name])
    if name not in host.plugins:
        return f"{name} is not installed; it will be on when it is."
    if host.plugins[name].state == "on":
        return f"{name} is on."
    from chatapp.authoring.swapping import renew, together

    await renew(host, together(host, host.found[name]))
    error = host.plugins[name].error
    return f"{name} is switched on, but it cannot be used: {error}" if error else f"{name} is on."


@action("plugin disable")
async def disable(session: Session, name: Annotated[str, "A plugin", _names]) -> str:
    """Switch a plugin off, now and from now on; what it keeps and its settings stay."""
    host = session.host
    if name not in host.plugins:
        raise UsageError(_unknown(session, name))
    if host.found[name].at_hand is not None:
        raise UsageError(f"{name} is a part of the application and cannot be switched off.")
    off = host.settings.core.plugins.disabled
    if name not in off:
        host.set_config("plugins", "disabled", [*off, name])
    await host.take_out(name)
    return f"{name} is off; `plugin enable {name}` brings it back."


def _unknown(session: Session, name: str) -> str:
    near = similar(name, session.host.plugins)
    return f"There is no plugin {name!r}" + (f"; did you mean {near!r}?" if near else "; `plugin list` shows all.")


@action("plugin new")
async def new(
    session: Session,
    name: Annotated[str, "What to call it: words in small letters, joined by -"] = "",
    *,
    description: Annotated[str, "What it does, in one sentence"] = "",
    single_file: Annotated[bool, "One file in your plugin folder, in place of a package"] = False,
) -> str:
    """Write a plugin to begin with: a package in this folder, ready to be installed, or a single file."""
    from chatapp.authoring.new import make

    return await make(session, name, description, single_file=single_file)
