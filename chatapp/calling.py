"""Calling hooks: each plugin's implementation in turn, guarded, so that one that fails never stops the rest."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pluggy

from chatapp import hookspecs
from chatapp.actions import Action
from chatapp.context import Block
from chatapp.engine import EngineSpec
from chatapp.events import Event
from chatapp.plugins import FAILURES
from chatapp.stream import Failed, Transform, guarded
from chatapp.ui import Panel

if TYPE_CHECKING:
    from chatapp.turn import Turn

Value = TypeVar("Value")
ITEMS: dict[str, type] = {"actions": Action, "engines": EngineSpec, "context": Block, "panels": Panel}
"""What the hooks with plural results must give."""


class Hooks:
    """The hooks of the plugins that are on.

    `failed` is told of an implementation that raised: the plugin's name, the hook and what it raised.
    """

    def __init__(self, failed: Callable[[str, str, BaseException], None]) -> None:
        self.manager = pluggy.PluginManager(hookspecs.NAMESPACE)
        self.manager.add_hookspecs(hookspecs)
        self._failed = failed
        self._places: dict[str, int] = {}

    def add(self, name: str, module: Any) -> None:
        """Register a checked plugin. One of a name that was here before is called where that one was."""
        self.manager.register(module, name)
        self._places.setdefault(name, len(self._places))

    def remove(self, name: str) -> None:
        """Take a plugin out; it keeps its place in the order."""
        self.manager.unregister(name=name)

    def declared(self, name: str, hook: str) -> list[Any]:
        """What one plugin gives for a hook that declares."""
        results = [impl.function() for impl in self._impls(hook) if impl.plugin_name == name]
        if hook == "settings":
            return results
        return [value for result in results for value in _fitting(hook, list(result or ()))]

    async def call(self, hook: str, **arguments: Any) -> list[tuple[str, Any]]:
        """Call every implementation in turn; (plugin, result) of those that gave one. Iterables come as lists."""
        results = []
        for impl in self._impls(hook):
            try:
                result = _fitting(hook, await _settle(impl.function(*(arguments[name] for name in impl.argnames))))
            except FAILURES as error:
                self._failed(impl.plugin_name, hook, error)
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
                self._failed(impl.plugin_name, hook, error)
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

        return transform, lambda error: self._failed(impl.plugin_name, "transform_stream", error)

    def first(self, hook: str, **arguments: Any) -> Any:
        """The first result that is not None, of plain functions."""
        for impl in self._impls(hook):
            try:
                result = impl.function(*(arguments[name] for name in impl.argnames))
            except FAILURES as error:
                self._failed(impl.plugin_name, hook, error)
                continue
            if result is not None:
                return result
        return None

    def _impls(self, hook: str) -> list[Any]:
        # pluggy puts the last registered first; ours are called in the order of registration.
        impls = getattr(self.manager.hook, hook).get_hookimpls()
        return sorted(impls, key=lambda impl: self._places.get(impl.plugin_name, len(self._places)))


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
