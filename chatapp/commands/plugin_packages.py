"""Commands that install and remove plugins."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from typing import Annotated

from chatapp.actions import action
from chatapp.commands.table import table
from chatapp.errors import UsageError
from chatapp.events import Event
from chatapp.session import Session


def _packages(session: Session, prefix: str) -> Iterable[str]:
    return [plugin.name for plugin in session.host.plugins.values() if plugin.origin == "package"]


@action("plugin install")
async def install(
    session: Session,
    *what: Annotated[str, "Names of packages, or paths of folders and wheels"],
    editable: Annotated[bool, "Use a folder where it lies, so that changes to it count"] = False,
    upgrade: Annotated[bool, "Take the newest version where one is installed"] = False,
    yes: Annotated[bool, "Do not ask"] = False,
) -> AsyncGenerator[Event | str, None]:
    """Install plugins with pip beside this application; what that would change is shown first."""
    from chatapp.authoring import installing
    from chatapp.authoring.pip import pip

    if not what:
        raise UsageError("Say what to install: `plugin install NAME`, or the path of a folder or a wheel.")
    words = installing.words_for(session.host, what, editable=editable, upgrade=upgrade)
    changes: list[installing.Change] = []
    async with aclosing(installing.plan(words)) as steps:
        async for step in steps:
            if isinstance(step, list):
                changes = step
            else:
                yield step
    if not changes:
        yield "All of that is installed already; --upgrade takes a newer version where there is one."
        return
    yield table("changes", ("package", "now", "then"), [(each.name, each.now, each.then) for each in changes])
    broken = installing.broken_by(changes)
    if broken:
        raise UsageError(f"Nothing was installed, as it would break what is here: {'; '.join(broken)}.")
    if not yes and not await session.ui.confirm("Install this?"):
        yield "Nothing was installed; --yes installs without asking."
        return
    async with aclosing(pip("install", *words)) as news:
        async for step in news:
            yield step
    for sentence in await installing.take_up(session.host, changes):
        yield sentence


@action("plugin remove")
async def remove(
    session: Session,
    name: Annotated[str, "A plugin, or the package it came in", _packages],
    *,
    yes: Annotated[bool, "Do not ask"] = False,
) -> AsyncGenerator[Event | str, None]:
    """Uninstall a plugin's package; its settings stay."""
    from chatapp.authoring.removing import package_of, uninstall

    dist, found = package_of(session.host, name)
    package, names = f"{dist.name} {dist.version}", ", ".join(each.name for each in found)
    if not yes and not await session.ui.confirm(f"Remove {package}, and with it {names}?"):
        yield "Nothing was removed; --yes removes without asking."
        return
    async with aclosing(uninstall(session.host, dist, found)) as steps:
        async for step in steps:
            yield step
    yield f"{package} is removed; its settings stay in {session.host.settings.path}."
