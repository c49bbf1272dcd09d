"""The host: all that a running chatapp has, and the plugins in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import BaseModel

from chatapp.actions import Action
from chatapp.calling import Hooks
from chatapp.declared import Declared
from chatapp.errors import ChatappError, OfflineError, UsageError
from chatapp.paths import Paths
from chatapp.plugins import FAILURES, Found, Plugin, discover, explain, load
from chatapp.settings import NESTED, CoreSettings, Settings
from chatapp.ui import UI, PlainUI
from chatapp.workers import Workers

if TYPE_CHECKING:
    from chatapp.archive import Archive
    from chatapp.engines import Engines
    from chatapp.models import Store

Model = TypeVar("Model", bound=BaseModel)


class Host:
    """Everything a running chatapp has, handed to plugins. Make one per process, then `await startup()`.

    `actions`, `engine_specs` and `configs` are what the plugins declared, by name; `plugins` lists all that were found,
    and `hooks` calls them.
    `tools` are those of the model that come and go while it runs, by tool name; who puts them there takes them out.
    """

    def __init__(self, paths: Paths, ui: UI | None = None, **overrides: Any) -> None:
        self.paths = paths
        self.ui: UI = ui if ui is not None else PlainUI()
        self.settings = Settings(paths.config / "settings.toml", overrides)
        self.workers = Workers()
        self.plugins: dict[str, Plugin] = {}
        self.tools: dict[str, Action] = {}
        self.problems: list[str] = []
        self._values: dict[str, BaseModel] = {}
        self.hooks = Hooks(self.report)
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

    def load(self) -> None:
        """Find and import the plugins and collect what they declare; what fails is in `plugins` and `problems`."""
        choice = self.settings.core.plugins
        for found in discover(self.paths.config / "plugins", choice):
            taken = self.plugins.get(found.plugin.name)
            if taken is None:
                self._admit(load(found, self.hooks.add, choice))
            else:
                self.problems.append(
                    f"The plugin {taken.name!r} from {found.plugin.where} is not loaded: {taken.where} has that name."
                )
        self.problems += self.settings.problems

    def add(self, name: str, module: Any) -> Plugin:
        """Register a plugin object that is at hand: a module, or any object with marked functions."""
        where = getattr(module, "__name__", type(module).__name__)
        found = Found(Plugin(name, "bundled", where), at_hand=module)
        plugin = load(found, self.hooks.add, self.settings.core.plugins)
        self._admit(plugin)
        return plugin

    def _admit(self, plugin: Plugin) -> None:
        self.plugins[plugin.name] = plugin
        if plugin.state == "failed":
            self.problems.append(f"The plugin {plugin.name!r} is not loaded: {plugin.error}")
        if plugin.state != "on":
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

    async def shutdown(self) -> None:
        """Close the engines, call every plugin's `shutdown`, end the child processes; each happens whatever fails."""
        try:
            if "engines" in self.__dict__:
                await self.engines.close()
            await self.hooks.call("shutdown", host=self)
        finally:
            await self.workers.close()
            if "archive" in self.__dict__:
                self.archive.close()

    def report(self, plugin: str, hook: str, error: BaseException) -> None:
        """Say once for each plugin, hook and reason that a hook failed."""
        reason = str(error) if isinstance(error, ChatappError) else explain(error)
        sentence = f"The plugin {plugin!r} failed in {hook}: {reason}"
        found = self.plugins.get(plugin)
        if found is not None and sentence not in found.reported:
            found.reported.append(sentence)
            self.ui.notify(sentence, "error")
