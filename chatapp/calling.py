"""Calling hooks: each plugin's implementation in turn, guarded, so that one that fails never stops the rest."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pluggy

from chatapp import deprecation, hookspecs
from chatapp.actions import Action
from chatapp.context import Block
from chatapp.engine import EngineSpec
from chatapp.events import Event
from chatapp.plugins import FAILURES
from chatapp.stream import Failed, Transform, guarded
from chatapp.timing import Calls, Metered, Steps
from chatapp.ui import Panel

if TYPE_CHECKING:
    from chatapp.turn import Turn

Value = TypeVar("Value")
ITEMS: dict[str, type] = {"actions": Action, "engines": EngineSpec, "context": Block, "panels": Panel}
"""What the hooks with plural results must give."""


class Hooks:
    """The hooks of the plugins that are on.

    `failed` is told of an implementation that raised: the plugin's name, the hook and what it raised. `calls` keeps
    what each call took.
    """

    def __init__(self, failed: Callable[[str, str, BaseException], None], calls: Calls | None = None) -> None:
        self.manager = _Manager(hookspecs.NAMESPACE)
        self.manager.add_hookspecs(hookspecs)
        self.calls = calls if calls is not None else Calls()
        self._failed = failed
        self._places: dict[str, int] = {}

    def add(self, name: str, module: Any) -> None:
        """Register a checked plugin. One of a name that was here before is called where that one was."""
        self.manager.register(module, name)
        self._places.setdefault(name, len(self._places))

    def remove(self, name: str) -> None:
        """Take a plugin out; it keeps its place in the order."""
        self.manager.unregister(name=name)

    def arrange(self, names: Iterable[str]) -> None:
        """Call the plugins in this order from now on."""
        self._places = {name: place for place, name in enumerate(names)}

    def declared(self, name: str, hook: str) -> list[Any]:
        """What one plugin gives for a hook that declares."""
        impls = [impl for impl in self._impls(hook) if impl.plugin_name == name]
        if not impls:
            return []
        watch = self.calls.begin(hook, name)
        try:
            results = [impl.function() for impl in impls]
            if hook != "settings":
                results = [value for result in results for value in _fitting(hook, list(result or ()))]
            watch.result = results
        except FAILURES as error:
            watch.error = error
            raise
        finally:
            watch.end(plain=True)
        return results

    async def call(self, hook: str, only: str = "", **arguments: Any) -> list[tuple[str, Any]]:
        """Call every implementation in turn; (plugin, result) of those that gave one. Iterables come as lists.

        `only` names the one plugin to call, where it is not all.
        """
        results = []
        for impl in self._impls(hook):
            if only in ("", impl.plugin_name):
                result = await self._settled(hook, impl, arguments, lambda result: _fitting(hook, result))
                if result is not None:
                    results.append((impl.plugin_name, result))
        if hook == "turn_finished":
            self.calls.turn_ended(arguments["turn"])
        return results

    async def fold(self, hook: str, value: Value, **arguments: Any) -> Value:
        """Hand `value` through every implementation; each gets what the one before returned, None changes nothing."""
        first = getattr(hookspecs, hook).__code__.co_varnames[0]

        def fitting(result: Any) -> Any:
            if result is not None and not isinstance(result, type(value)):
                raise TypeError(f"it returned {type(result).__name__}, not {type(value).__name__}")
            return result

        for impl in self._impls(hook):
            result = await self._settled(hook, impl, {**arguments, first: value}, fitting)
            value = value if result is None else result
        return value

    async def _settled(self, hook: str, impl: Any, arguments: Mapping[str, Any], fit: Callable[[Any], Any]) -> Any:
        """What one implementation gives, once it fits; None where it failed, which is reported."""
        watch = self.calls.begin(hook, impl.plugin_name)
        try:
            watch.result = fit(await Steps(_settle(impl.function, _values(hook, impl, arguments)), watch))
        except FAILURES as error:
            watch.error, watch.result = error, None
            self._failed(impl.plugin_name, hook, error)
        finally:
            watch.end()
        return watch.result

    def chain(self, stream: AsyncGenerator[Event, None], turn: Turn) -> AsyncGenerator[Event, None]:
        """The stream, seen through every plugin's `transform_stream`."""
        for impl in self._impls("transform_stream"):
            stream = guarded(stream, *self._transform(impl, turn))
        return stream

    def _transform(self, impl: Any, turn: Turn) -> tuple[Transform, Failed]:
        watch = self.calls.begin("transform_stream", impl.plugin_name)

        async def transform(inner: AsyncIterator[Event]) -> AsyncIterator[Event]:
            handed = {"stream": Metered(inner, watch, -1), "turn": turn}
            result = impl.function(*_values("transform_stream", impl, handed))
            return Metered(await result if inspect.isawaitable(result) else result, watch, 1)

        def failed(error: BaseException) -> None:
            watch.error = error
            self._failed(impl.plugin_name, "transform_stream", error)

        return cast(Transform, transform), failed

    def first(self, hook: str, **arguments: Any) -> Any:
        """The first result that is not None, of plain functions."""
        for impl in self._impls(hook):
            watch = self.calls.begin(hook, impl.plugin_name)
            try:
                watch.result = impl.function(*_values(hook, impl, arguments))
            except FAILURES as error:
                watch.error, watch.result = error, None
                self._failed(impl.plugin_name, hook, error)
            finally:
                watch.end(plain=True)
            if watch.result is not None:
                return watch.result
        return None

    def _impls(self, hook: str) -> list[Any]:
        # pluggy puts the last registered first; ours are called in the order of registration.
        impls = getattr(self.manager.hook, hook).get_hookimpls()
        return sorted(impls, key=lambda impl: self._places.get(impl.plugin_name, len(self._places)))


class _Manager(pluggy.PluginManager):
    """Takes hooks and arguments under their old names too."""

    def add_hookspecs(self, module_or_class: Any) -> None:
        super().add_hookspecs(module_or_class)
        for hook, old in deprecation.ARGUMENTS:
            spec = getattr(self.hook, hook).spec
            spec.argnames = (*spec.argnames, old)

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        options = super().parse_hookimpl_opts(plugin, name)
        if options is None:
            return None
        # A copy: the options are the function's own, which may be marked under several names.
        return {**options, "specname": deprecation.hook_now(options.get("specname") or name)}


def _values(hook: str, impl: Any, arguments: Mapping[str, Any]) -> list[Any]:
    """What an implementation is handed, in its own order."""
    return [arguments[deprecation.argument_now(hook, name)] for name in impl.argnames]


async def _settle(function: Callable[..., Any], values: Iterable[Any]) -> Any:
    """What a hook gives, whichever kind of function it is: awaited, and iterables drawn to their end in our guard."""
    result = function(*values)
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
