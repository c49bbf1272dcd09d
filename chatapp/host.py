"""The host: calls plugins one by one, so that one that fails is named and never stops the rest."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pluggy
from pydantic import BaseModel

from chatapp import hookspecs
from chatapp.actions import Action
from chatapp.context import Block
from chatapp.engine import EngineSpec
from chatapp.errors import ChatappError, OfflineError, PluginError, UsageError
from chatapp.events import Event
from chatapp.paths import Paths
from chatapp.plugins import FAILURES, Found, Plugin, discover, explain, load
from chatapp.settings import NESTED, CoreSettings, Settings
from chatapp.stream import Failed, Transform, guarded
from chatapp.ui import UI, Panel, PlainUI
from chatapp.workers import Workers

if TYPE_CHECKING:
    from chatapp.archive import Archive
    from chatapp.engines import Engines
    from chatapp.models import Store
    from chatapp.turn import Turn

Value = TypeVar("Value")
Model = TypeVar("Model", bound=BaseModel)
ITEMS: dict[str, type] = {"actions": Action, "engines": EngineSpec, "context": Block, "panels": Panel}
"""What the hooks with plural results must give."""


class Host:
    """Everything a running chatapp has, handed to plugins. Make one per process, then `await startup()`.

    `actions`, `engine_specs` and `configs` are what the plugins declared, by name; `plugins` lists all that were found.
    `tools` are those of the model that come and go while it runs, by tool name; who puts them there takes them out.
    """

    def __init__(self, paths: Paths, ui: UI | None = None, **overrides: Any) -> None:
        self.paths = paths
        self.ui: UI = ui if ui is not None else PlainUI()
        self.settings = Settings(paths.config / "settings.toml", overrides)
        self.workers = Workers()
        self.plugins: dict[str, Plugin] = {}
        self.actions: dict[str, Action] = {}
        self.tools: dict[str, Action] = {}
        self.engine_specs: dict[str, EngineSpec] = {}
        self.configs: dict[str, type[BaseModel]] = {}
        self.problems: list[str] = []
        self._owners: dict[tuple[str, str], str] = {}
        self._values: dict[str, BaseModel] = {}
        self._manager = pluggy.PluginManager(hookspecs.NAMESPACE)
        self._manager.add_hookspecs(hookspecs)

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
                self._admit(load(found, self._manager, choice))
            else:
                self.problems.append(
                    f"The plugin {taken.name!r} from {found.plugin.where} is not loaded: {taken.where} has that name."
                )
        self.problems += self.settings.problems

    def add(self, name: str, module: Any) -> Plugin:
        """Register a plugin object that is at hand: a module, or any object with marked functions."""
        where = getattr(module, "__name__", type(module).__name__)
        found = Found(Plugin(name, "bundled", where), at_hand=module)
        plugin = load(found, self._manager, self.settings.core.plugins)
        self._admit(plugin)
        return plugin

    def _admit(self, plugin: Plugin) -> None:
        self.plugins[plugin.name] = plugin
        if plugin.state == "failed":
            self.problems.append(f"The plugin {plugin.name!r} is not loaded: {plugin.error}")
        if plugin.state != "on":
            return
        for model in self._declared(plugin, "settings"):
            self.configs[plugin.name] = model
        for action in self._declared(plugin, "actions"):
            self._claim(self.actions, "action", action.name, action.owned_by(plugin.name), plugin.name)
        for spec in self._declared(plugin, "engines"):
            self._claim(self.engine_specs, "engine", spec.name, spec, plugin.name)

    def _declared(self, plugin: Plugin, hook: str) -> list[Any]:
        try:
            results = [impl.function() for impl in self._impls(hook) if impl.plugin_name == plugin.name]
            if hook == "settings":
                return [_settings_model(result) for result in results]
            return [value for result in results for value in _fitting(hook, list(result or ()))]
        except FAILURES as error:
            self.report(plugin.name, hook, error)
            return []

    def _claim(self, table: dict[str, Value], what: str, name: str, value: Value, owner: str) -> None:
        first = self._owners.setdefault((what, name), owner)
        if name in table:
            self.problems.append(
                f"The {what} {name!r} of the plugin {owner!r} is refused: the plugin {first!r} has one of that name."
            )
        else:
            table[name] = value

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
        await self.call("startup", host=self)

    async def shutdown(self) -> None:
        """Close the engines, call every plugin's `shutdown`, end the child processes; each happens whatever fails."""
        try:
            if "engines" in self.__dict__:
                await self.engines.close()
            await self.call("shutdown", host=self)
        finally:
            await self.workers.close()
            if "archive" in self.__dict__:
                self.archive.close()

    async def call(self, hook: str, **arguments: Any) -> list[tuple[str, Any]]:
        """Call every implementation in turn; (plugin, result) of those that gave one. Iterables come as lists."""
        results = []
        for impl in self._impls(hook):
            try:
                result = _fitting(hook, await _settle(impl.function(*(arguments[name] for name in impl.argnames))))
            except FAILURES as error:
                self.report(impl.plugin_name, hook, error)
                continue
            if result is not None:
                results.append((impl.plugin_name, result))
        return results

    async def fold(self, hook: str, value: Value, **arguments: Any) -> Value:
        """Hand `value` through every implementation; each gets what the one before returned, None changes nothing."""
        first = getattr(hookspecs, hook).__code__.co_varnames[0]
        for impl in self._impls(hook):
            try:
                handed = {**arguments, first: value}
                result = await _settle(impl.function(*(handed[name] for name in impl.argnames)))
                if result is not None and not isinstance(result, type(value)):
                    raise TypeError(f"it returned {type(result).__name__}, not {type(value).__name__}")
            except FAILURES as error:
                self.report(impl.plugin_name, hook, error)
                continue
            value = value if result is None else result
        return value

    def chain(self, stream: AsyncGenerator[Event, None], turn: Turn) -> AsyncGenerator[Event, None]:
        """The stream, seen through every plugin's `transform_stream`."""
        for impl in self._impls("transform_stream"):
            stream = guarded(stream, *self._transform(impl, turn))
        return stream

    def _transform(self, impl: Any, turn: Turn) -> tuple[Transform, Failed]:
        def transform(inner: AsyncIterator[Event]) -> AsyncIterator[Event]:
            handed = {"stream": inner, "turn": turn}
            return cast(AsyncIterator[Event], impl.function(*(handed[name] for name in impl.argnames)))

        return transform, lambda error: self.report(impl.plugin_name, "transform_stream", error)

    def first(self, hook: str, **arguments: Any) -> Any:
        """The first result that is not None, of plain functions."""
        for impl in self._impls(hook):
            try:
                result = impl.function(*(arguments[name] for name in impl.argnames))
            except FAILURES as error:
                self.report(impl.plugin_name, hook, error)
                continue
            if result is not None:
                return result
        return None

    def report(self, plugin: str, hook: str, error: BaseException) -> None:
        """Say once for each plugin, hook and reason that a hook failed."""
        reason = str(error) if isinstance(error, ChatappError) else explain(error)
        sentence = f"The plugin {plugin!r} failed in {hook}: {reason}"
        found = self.plugins.get(plugin)
        if found is not None and sentence not in found.reported:
            found.reported.append(sentence)
            self.ui.notify(sentence, "error")

    def _impls(self, hook: str) -> list[Any]:
        # pluggy puts the last registered first; ours are called in the order of registration.
        rank = {name: place for place, name in enumerate(self.plugins)}
        impls = getattr(self._manager.hook, hook).get_hookimpls()
        return sorted(impls, key=lambda impl: rank.get(impl.plugin_name, len(rank)))


async def _settle(result: Any) -> Any:
    """What a hook gave, whichever kind of function it is: awaited, and iterables drawn to their end in our guard."""
    if inspect.isawaitable(result):
        result = await result
    if isinstance(result, AsyncIterator):
        return [value async for value in result]
    if isinstance(result, Iterable) and not isinstance(result, (str, Mapping)):
        return list(result)
    return result


def _fitting(hook: str, result: Any) -> Any:
    """The result, when each item is of the hook's kind; what is not would only fail later, where nobody is named."""
    kind = ITEMS.get(hook)
    strange = [item for item in result if not isinstance(item, kind)] if kind and result is not None else []
    if kind and strange:
        raise TypeError(f"it gave {type(strange[0]).__name__}, not {kind.__name__}")
    return result


def _settings_model(model: Any) -> type[BaseModel]:
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise TypeError(f"it gave {model!r}, not a pydantic model")
    without = [name for name, field in model.model_fields.items() if field.is_required()]
    if without:
        raise PluginError(f"the setting {without[0]!r} has no default.")
    return model
