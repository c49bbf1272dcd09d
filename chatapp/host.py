"""The host: all that a running chatapp has, and the plugins in it."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import BaseModel

from chatapp.actions import Action, Completer
from chatapp.calling import Hooks
from chatapp.declared import Declared
from chatapp.errors import ChatappError, OfflineError, SettingsError, UsageError
from chatapp.paths import Paths
from chatapp.plugins import FAILURES, Found, Plugin, discover, explain, load, place
from chatapp.settings import NESTED, CoreSettings, Settings
from chatapp.timing import Calls
from chatapp.ui import UI, PlainUI
from chatapp.workers import Workers

if TYPE_CHECKING:
    from chatapp.archive import Archive
    from chatapp.engines import Engines
    from chatapp.models import Store
    from chatapp.session import Session

Model = TypeVar("Model", bound=BaseModel)


class Host:
    """Everything a running chatapp has, handed to plugins. Make one per process, then `await startup()`.

    `actions`, `engine_specs` and `configs` are what the plugins declared, by name; `plugins` lists all that were found,
    and `hooks` calls them.
    `tools` are those of the model that come and go while it runs, by tool name; who puts them there takes them out.
    `mentions` give what may follow ``@`` in a message beside files, by plugin: functions like those that complete an
    argument. The plugin that puts one there takes it out, and reads what the message mentions in its `context` hook.
    `status` are words that the status line shows whatever the conversation, by who put them there. `changed` are called
    with its name after a plugin came in or went out while it runs. `busy` are the sessions with a turn under way;
    `refresh`, where it is set, loads again what changed.
    """

    def __init__(self, paths: Paths, ui: UI | None = None, **overrides: Any) -> None:
        self.paths = paths
        self.ui: UI = ui if ui is not None else PlainUI()
        self.settings = Settings(paths.config / "settings.toml", overrides)
        self.workers = Workers()
        self.plugins: dict[str, Plugin] = {}
        self.found: dict[str, Found] = {}
        self.tools: dict[str, Action] = {}
        self.mentions: dict[str, Completer] = {}
        self.problems: list[str] = []
        self.status: dict[str, str] = {}
        self.changed: list[Callable[[str], None]] = []
        self.refresh: Callable[[], Awaitable[None]] | None = None
        self.busy: set[Session] = set()
        self._running = False
        self._values: dict[str, BaseModel] = {}
        self.hooks = Hooks(self.report, Calls(os.environ))
        self.declared = Declared()
        self.actions = self.declared.actions
        self.engine_specs = self.declared.engines
        self.configs = self.declared.configs

    @property
    def offline(self) -> bool:
        """Whether the user forbids the network."""
        return self.settings.core.offline

    def need_network(self, what: str) -> None:
        """Raise OfflineError when the network is forbidden; `what` completes "To … the network is needed"."""
        if self.offline:
            raise OfflineError(f"To {what} the network is needed, and --offline forbids it.")

    @cached_property
    def models(self) -> Store:
        """The model store of this user."""
        from chatapp.models import open_store

        return open_store(self.paths, offline=self.offline)

    @cached_property
    def default_model(self) -> str:
        """The model used where none is chosen: the one recommended for this machine's memory."""
        import psutil

        from chatapp.models import recommended

        return recommended(psutil.virtual_memory().total, self.models.catalogue.values()).name

    @cached_property
    def archive(self) -> Archive:
        """The conversations of this user."""
        from chatapp.archive import Archive

        archive, notice = Archive.open(self.paths.data / "conversations.db")
        if notice:
            self.problems.append(notice)
        return archive

    @cached_property
    def engines(self) -> Engines:
        """The engines that are open."""
        from chatapp.engines import Engines

        return Engines(self)

    def load(self, wanted: Callable[[Found], bool] = lambda found: True) -> None:
        """Find and import the plugins and collect what they declare; what fails is in `plugins` and `problems`.

        Those that are not `wanted` are listed only.
        """
        choice = self.settings.core.plugins
        for found in discover(self.paths.config / "plugins", choice):
            taken = self.plugins.get(found.name)
            if taken is None:
                self._admit(found, load(found, choice) if wanted(found) else found.plugin)
            else:
                self.problems.append(
                    f"The plugin {taken.name!r} from {found.plugin.where} is not loaded: {taken.where} has that name."
                )
        self.problems += self.settings.problems

    def add(self, name: str, module: Any) -> Plugin:
        """Register a plugin object that is at hand: a module, or any object with marked functions."""
        where = getattr(module, "__name__", type(module).__name__)
        found = Found(Plugin(name, "bundled", where), at_hand=module)
        return self._admit(found, load(found, self.settings.core.plugins))

    async def take_in(self, found: Found, plugin: Plugin | None = None) -> Plugin:
        """Take in a plugin while the application runs, and call its `startup`; `plugin` where it was loaded already.

        What goes wrong is in the plugin, or reported.
        """
        begun = len(self.problems)
        plugin = self._admit(found, plugin or load(found.again(), self.settings.core.plugins))
        self.hooks.arrange(sorted(self.plugins, key=lambda name: place(self.found[name], self.settings.core.plugins)))
        for problem in self.problems[begun:]:
            self.ui.notify(problem, "warning")
        if plugin.state == "on" and self._running:
            await self.hooks.call("startup", plugin.name, host=self)
        self._tell(plugin.name)
        return plugin

    async def take_out(self, name: str, *, gone: bool = False) -> None:
        """Call the plugin's `shutdown`, close its engines and drop all it declared; when `gone`, list it no longer."""
        if self._running:
            await self.hooks.call("shutdown", name, host=self)
        engines = self.leave_out(name)
        if gone:
            del self.plugins[name], self.found[name]
        if engines and "engines" in self.__dict__:
            with self._reporting(name, "engines"):
                await self.engines.drop(engines)
        self._tell(name)

    def leave_out(self, name: str) -> list[str]:
        """Drop all that a plugin declared, as if it had been switched off at the start; the names of its engines."""
        if self.plugins[name].state == "on":
            self.hooks.remove(name)
        engines = [spec.name for spec in self.declared.engines_of(name)]
        self.declared.remove(name)
        self._values.pop(name, None)
        self.plugins[name] = self.found[name].again().plugin
        return engines

    def _tell(self, name: str) -> None:
        for listener in self.changed:
            listener(name)

    async def begin(self, session: Session) -> None:
        """Begin a turn of a session: plugins that changed are loaded again now, and stay as they are until it ends."""
        await self.fresh()
        self.busy.add(session)

    async def fresh(self) -> None:
        """Load plugins again that changed, where somebody looks after that and no turn is under way."""
        if self.refresh is not None and not self.busy:
            await self.refresh()

    def _admit(self, found: Found, plugin: Plugin) -> Plugin:
        self.plugins[plugin.name], self.found[plugin.name] = plugin, found
        if plugin.state == "on":
            began = perf_counter()
            self._register(plugin)
            plugin.seconds += perf_counter() - began
        if plugin.state == "failed":
            self.problems.append(f"The plugin {plugin.name!r} is not loaded: {plugin.error}")
        return plugin

    def _register(self, plugin: Plugin) -> None:
        try:
            self.hooks.add(plugin.name, plugin.module)
        except ValueError as error:
            plugin.state, plugin.error, plugin.hooks = "failed", f"{error}.", ()
            return
        with self._reporting(plugin.name, "settings"):
            self.declared.add_settings(plugin.name, self.hooks.declared(plugin.name, "settings"))
        with self._reporting(plugin.name, "actions"):
            self.problems += self.declared.add_actions(plugin.name, self.hooks.declared(plugin.name, "actions"))
        with self._reporting(plugin.name, "engines"):
            self.problems += self.declared.add_engines(plugin.name, self.hooks.declared(plugin.name, "engines"))

    @contextmanager
    def _reporting(self, plugin: str, hook: str) -> Iterator[None]:
        try:
            yield
        except FAILURES as error:
            self.report(plugin, hook, error)

    def config(self, model: type[Model]) -> Model:
        """The user's values for a settings model that a plugin declared."""
        name = next((name for name, declared in self.configs.items() if declared is model), None)
        if name is None:
            raise UsageError(f"{model.__name__} is not declared by a settings() hook.")
        if name not in self._values:
            before = len(self.settings.problems)
            self._values[name] = self.settings.table(name, model)
            for problem in self.settings.problems[before:]:
                self.ui.notify(problem, "warning")
        return cast(Model, self._values[name])

    def set_config(self, table: str, key: str, value: Any) -> None:
        """Write one setting; `table` is a plugin's name or "" for the core. SettingsError when it does not fit."""
        model = self.configs.get(table) or NESTED.get(table, CoreSettings)
        self.settings.set(table, key, value, model)
        self._values.pop(table, None)

    async def startup(self) -> None:
        """Call every plugin's `startup`."""
        await self.hooks.call("startup", host=self)
        self._running = True

    async def shutdown(self) -> None:
        """Close the engines, call every plugin's `shutdown`, end the child processes; each happens whatever fails."""
        self._running = False
        try:
            if "engines" in self.__dict__:
                await self.engines.close()
            await self.hooks.call("shutdown", host=self)
        finally:
            await self.workers.close()
            if "archive" in self.__dict__:
                self.archive.close()
            self._keep_costs()

    def _keep_costs(self) -> None:
        if self.hooks.calls.ended:
            from chatapp import costs

            try:
                costs.add(self.costs_file, self.hooks.calls.ended)
            except SettingsError as error:
                self.ui.notify(str(error), "warning")

    @property
    def costs_file(self) -> Path:
        """Where the costs of the latest turns are kept when the application ends."""
        return self.paths.data / "plugins" / "turns.json"

    def _package(self, plugin: str) -> str:
        return self.found[plugin].package if plugin in self.found else ""

    def report(self, plugin: str, hook: str, error: BaseException) -> None:
        """Say once for each plugin, hook and reason that a hook failed."""
        reason = str(error) if isinstance(error, ChatappError) else explain(error, self._package(plugin))
        sentence = f"The plugin {plugin!r} failed in {hook}: {reason}"
        found = self.plugins.get(plugin)
        if found is not None and sentence not in found.reported:
            found.reported.append(sentence)
            self.ui.notify(sentence, "error")
