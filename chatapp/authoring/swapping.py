"""Putting new versions of plugins in place of those that run: wholly, or not at all."""

from __future__ import annotations

import importlib
import importlib.util
import linecache
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn

from chatapp.calling import Hooks
from chatapp.declared import Declared
from chatapp.errors import PluginError
from chatapp.plugins import FAILURES, Found, Plugin, load, reason

if TYPE_CHECKING:
    from chatapp.host import Host


async def swap(host: Host, found: Sequence[Found]) -> None:
    """Import the plugins of one package anew, and take them in for those that run.

    PluginError when one of them cannot be used: it says why, with the line. All stays as it was then, but that what ran
    already is started once more when it was the new version's `startup` that failed.
    """
    modules = _Modules(found[0].package, [each.path for each in found if each.path])
    with modules.anew():
        plugins = [_tried(host, each) for each in found]
    before = [(host.found[each.name], host.plugins[each.name]) for each in plugins if each.name in host.plugins]
    for _, old in before:
        await host.take_out(old.name)
    modules.put(modules.after)
    for each, plugin in zip(found, plugins, strict=True):
        await host.take_in(each, plugin)
    if any(plugin.reported for plugin in plugins) and all(old.state == "on" for _, old in before):
        await _back(host, modules, before)


async def _back(host: Host, modules: _Modules, before: Iterable[tuple[Found, Plugin]]) -> NoReturn:
    """Take in again what ran before."""
    for _, plugin in before:
        await host.take_out(plugin.name)
    modules.put(modules.before)
    for found, plugin in before:
        await host.take_in(found, plugin)
    raise PluginError("its startup failed.")


async def renew(host: Host, found: Sequence[Found]) -> None:
    """`swap`, where what cannot be used is said, and listed."""
    try:
        await swap(host, found)
    except PluginError as error:
        await refuse(host, found, str(error))


def together(host: Host, found: Found) -> list[Found]:
    """It, and the plugins of the same package that are on: they can only be imported anew together."""
    running = [each for each in host.found.values() if host.plugins[each.name].state == "on"]
    return [found, *(each for each in running if each is not found and each.package and each.package == found.package)]


def taken(host: Host, found: Found) -> str:
    """The sentence that another plugin has its name; empty when none has."""
    first = host.found.get(found.name, found)
    if first.package == found.package:
        return ""
    return f"The plugin {found.name!r} from {found.plugin.where} is not loaded: {first.plugin.where} has that name."


async def refuse(host: Host, found: Iterable[Found], error: str) -> None:
    """Say that these, which `swap` refused, cannot be used, and list them so; what runs already stays."""
    for each in found:
        plugin = host.plugins.get(each.name)
        if plugin is not None and plugin.state == "on":
            plugin.error = f"The new version is not used: {error}"
            host.ui.notify(f"The plugin {each.name!r} stays as it was: {error}", "error")
        else:
            failed = each.again().plugin
            failed.state, failed.error = "failed", error
            await host.take_in(each, failed)


def _tried(host: Host, found: Found) -> Plugin:
    """The plugin, loaded; PluginError when it, or what it declares, cannot be used."""
    plugin = load(found.again(), host.settings.core.plugins)
    if plugin.error:
        raise PluginError(plugin.error)
    hooks, declared = Hooks(lambda plugin, hook, error: None), Declared()
    try:
        hooks.add(plugin.name, plugin.module)
        declared.add_settings(plugin.name, hooks.declared(plugin.name, "settings"))
        declared.add_actions(plugin.name, hooks.declared(plugin.name, "actions"))
        declared.add_engines(plugin.name, hooks.declared(plugin.name, "engines"))
    except FAILURES as error:
        raise PluginError(reason(error, found.package)) from error
    return plugin


class _Modules:
    """The modules of a package: those that were imported at first, and those imported anew."""

    def __init__(self, package: str, files: Sequence[Path]) -> None:
        self._package = package
        self._files = files
        self.before = self._imported()
        self.after: dict[str, ModuleType] = {}

    def _imported(self) -> dict[str, ModuleType]:
        inside = f"{self._package}."
        return {name: each for name, each in sys.modules.items() if f"{name}.".startswith(inside)}

    def put(self, modules: Mapping[str, ModuleType]) -> None:
        """Have these in place of those that are there."""
        for name in self._imported():
            del sys.modules[name]
        sys.modules.update(modules)

    @contextmanager
    def anew(self) -> Iterator[None]:
        """Inside, all is imported anew; then the first ones are back, as they end with what they imported."""
        imported = (getattr(each, "__file__", None) for each in self.before.values())
        for source in [*self._files, *(Path(file) for file in imported if file and file.endswith(".py"))]:
            # Python tells a changed source by its size and whole seconds: saved twice in one, it may look unchanged.
            Path(importlib.util.cache_from_source(source)).unlink(missing_ok=True)
        importlib.invalidate_caches()
        linecache.checkcache()
        self.put({})
        try:
            yield
        finally:
            self.after = self._imported()
            self.put(self.before)
