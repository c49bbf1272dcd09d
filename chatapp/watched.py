"""Work under way that widgets look at: they are told of every change."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field


@dataclass(eq=False)
class Watched:
    """A base for what is looked at; call `changed` after a change, on the event loop."""

    _watchers: dict[int, Callable[[], None]] = field(default_factory=dict, init=False, repr=False)
    _tickets: Iterator[int] = field(default_factory=itertools.count, init=False, repr=False)

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back after every change, until what this returns is called."""
        ticket = next(self._tickets)
        self._watchers[ticket] = callback

        def forget() -> None:
            self._watchers.pop(ticket, None)

        return forget

    def changed(self) -> None:
        """Tell all who look."""
        for callback in list(self._watchers.values()):
            callback()
