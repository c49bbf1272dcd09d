"""Removing plugins: only packages that register a plugin, and never the application itself."""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from importlib import metadata
from typing import TYPE_CHECKING

from chatapp.authoring.pip import pip
from chatapp.errors import UsageError
from chatapp.events import Progress
from chatapp.plugins import Found

if TYPE_CHECKING:
    from chatapp.host import Host


def package_of(host: Host, name: str) -> tuple[metadata.Distribution, list[Found]]:
    """The distribution that is, or holds, the plugin `name`, and all its plugins; UsageError for one that must stay."""
    found = host.found.get(name) or next((each for each in host.found.values() if _distribution(each) == name), None)
    if found is None:
        raise UsageError(f"There is no plugin {name!r} to remove; `plugin list` shows all.")
    if found.path is not None:
        raise UsageError(f"{name} is a file of yours: delete {found.path} to remove it.")
    if found.at_hand is not None:
        raise UsageError(f"{name} is a part of the application and cannot be removed.")
    if found.plugin.origin != "package" or found.entry is None or found.entry.dist is None:
        raise UsageError(f"{name} came with the application; `plugin disable {name}` switches it off.")
    dist = found.entry.dist
    return dist, [each for each in host.found.values() if _distribution(each) == dist.name]


def _distribution(found: Found) -> str:
    return found.entry.dist.name if found.entry is not None and found.entry.dist is not None else ""


async def uninstall(host: Host, dist: metadata.Distribution, found: list[Found]) -> AsyncGenerator[Progress, None]:
    """End the plugins and uninstall their distribution. Where that fails or is stopped, they run again."""
    for each in found:
        # First, as what a plugin does at its end may need its files.
        await host.take_out(each.name, gone=True)
    try:
        async with aclosing(pip("uninstall", "--yes", dist.name)) as steps:
            async for step in steps:
                yield step
    except BaseException:
        for each in found:
            await host.take_in(each)
        raise
    importlib.invalidate_caches()
