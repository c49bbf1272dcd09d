"""Hosts for tests: everything in one folder, the scripted engine, and the plugins under test."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

import pytest

from chatapp import hookspecs
from chatapp.engine import Engine, EngineConfig, EngineSpec, Report
from chatapp.hookspecs import hookimpl
from chatapp.host import Host
from chatapp.paths import Paths
from chatapp.session import Session
from chatapp.testing.recording import RecordingUI
from chatapp.testing.scripted import MODEL as MODEL
from chatapp.testing.scripted import ScriptedEngine
from chatapp.testing.scripted import sent_texts as sent_texts
from chatapp.ui import UI

Plugins: TypeAlias = Mapping[str, Any] | Iterable[Any]
"""Plugins under test: modules, objects with marked functions, names of installed ones; or a mapping by name."""


@dataclass(slots=True)
class _ScriptedPlugin:
    """The plugin that offers the scripted engine."""

    engine: ScriptedEngine

    @hookimpl
    def engines(self) -> Iterable[EngineSpec]:
        """One engine, which takes the model "scripted" only."""

        async def open_engine(host: Host, config: EngineConfig, report: Report) -> Engine:
            self.engine.configs.append(config)
            return self.engine

        yield EngineSpec(MODEL, open_engine, accepts=lambda host, model: model == MODEL)


def make_host(folder: Path, ui: UI | None = None, scripted: ScriptedEngine | None = None, **settings: Any) -> Host:
    """A host that keeps everything below `folder`, with the scripted engine and no other plugin."""
    paths = Paths(folder / "data", folder / "cache", folder / "config")
    paths.ensure()
    host = Host(paths, ui if ui is not None else RecordingUI(), **{"model": MODEL, "engine": MODEL, **settings})
    host.add(MODEL, _ScriptedPlugin(scripted if scripted is not None else ScriptedEngine()))
    return host


def script(session: Session) -> ScriptedEngine:
    """The scripted engine behind a session, to tell it what to say."""
    plugin = session.host.plugins.get(MODEL)
    if plugin is None:
        raise AssertionError("This session has no scripted engine; make its host with chatapp.testing.make_host.")
    engine: ScriptedEngine = plugin.module.engine
    return engine


@dataclass(slots=True)
class Maker:
    """Makes the hosts of one test: all with the same folder, engine and plugins.

    `model` is the name of the model that answers, of the scripted engine or of a plugin under test; `real` is the file
    of one that answers in its place.
    """

    folder: Path
    engine: ScriptedEngine
    plugins: Plugins
    model: str = MODEL
    real: Path | None = None
    made: list[tuple[Host, list[str]]] = field(default_factory=list)

    def host(self, ui: UI, *, own: bool = False, plugins: Plugins = (), **settings: Any) -> Host:
        """A host that is not started yet; `own` adds the application's own commands, `plugins` replaces the test's."""
        model = str(self.real or self.model)
        settings = {"model": model, "engine": MODEL if model == MODEL else "", **settings}
        host = make_host(self.folder, ui, self.engine, **settings)
        if own:
            from chatapp import commands

            host.add("chatapp", commands)
        under_test = named(plugins or self.plugins)
        for name, module in under_test.items():
            _add(host, name, module)
        if self.real is not None:
            _add_engine(host)
        self.made.append((host, list(under_test)))
        return host

    def failures(self) -> list[str]:
        """What the hooks of the plugins under test raised, and the test did not take from `reported`."""
        return [
            sentence
            for host, names in self.made
            for name in names
            if name in host.plugins
            for sentence in host.plugins[name].reported
        ]


def named(plugins: Plugins) -> dict[str, Any]:
    """The plugins by name: that of their entry point, else that of their module without "chatapp_"."""
    if isinstance(plugins, Mapping):
        return dict(plugins)
    if isinstance(plugins, (str, ModuleType)):
        pytest.fail(f"The plugins to test are a list, so write [{plugins!r}].")
    return {plugin if isinstance(plugin, str) else _name(plugin): _module(plugin) for plugin in plugins}


def _name(plugin: Any) -> str:
    where = getattr(plugin, "__name__", type(plugin).__name__)
    known = [entry.name for entry in metadata.entry_points(group=hookspecs.NAMESPACE) if entry.value == where]
    return known[0] if known else where.rpartition(".")[2].lower().strip("_").removeprefix(f"{hookspecs.NAMESPACE}_")


def _module(plugin: Any) -> Any:
    if not isinstance(plugin, str):
        return plugin
    installed = {entry.name: entry for entry in metadata.entry_points(group=hookspecs.NAMESPACE)}
    if plugin not in installed:
        pytest.fail(f"No plugin {plugin!r} is installed; there are {', '.join(sorted(installed))}.")
    return installed[plugin].load()


def _add(host: Host, name: str, module: Any) -> None:
    before = len(host.problems)
    plugin = host.add(name, module)
    problems = [*host.problems[before:], *plugin.reported]
    if problems:
        pytest.fail("\n".join(problems))


def _add_engine(host: Host) -> None:
    """Add the bundled plugin whose engine takes the host's model, and no other."""
    from chatapp.authoring.safe import load_safely

    load_safely(host)
    host.status.clear()
    host.problems[:] = host.settings.problems


def watched(maker: Maker) -> Iterator[Maker]:
    """The maker, and at the end a failure when a hook of a plugin under test raised."""
    yield maker
    if failures := maker.failures():
        told = "\n".join(failures)
        pytest.fail(f"{told}\nIf that is what you test, clear it: host.plugins[NAME].reported.clear()", pytrace=False)
