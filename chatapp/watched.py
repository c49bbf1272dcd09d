"""Work under way that widgets look at: they are told of every change."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self
from weakref import WeakValueDictionary

_NUMBERS = itertools.count(1)


@dataclass(eq=False)
class Watched:
    """A base for what is looked at; call `changed` after a change, on the event loop.

    A part of the conversation that shows it tells no more than its `number`, unique while chatapp runs; `numbered`
    finds it as long as somebody holds it.
    """

    number: int = field(default_factory=lambda: next(_NUMBERS), init=False)
    _watchers: dict[int, Callable[[], None]] = field(default_factory=dict, init=False, repr=False)
    _tickets: Iterator[int] = field(default_factory=itertools.count, init=False, repr=False)

    def __post_init__(self) -> None:
        _HELD[self.number] = self

    @classmethod
    def numbered(cls, number: object) -> Self | None:
        """The one of this number, None where there is none any more."""
        found = _HELD.get(number) if isinstance(number, int) else None
        return found if isinstance(found, cls) else None

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


_HELD: WeakValueDictionary[int, Watched] = WeakValueDictionary()
