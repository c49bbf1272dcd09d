"""What hook calls took: each call with its time, and the costs of the latest turns by plugin and hook.

Two times are kept. `seconds` is by the clock: a hook that waits for another process is slow in it, and does no harm.
`held` is how long the event loop could do nothing else: that is what people feel.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from chatapp.events import Event

if TYPE_CHECKING:
    from chatapp.tracing import Trace
    from chatapp.turn import Turn

TURNS = 20
"""How many turns are kept."""
RECENT = 200
"""How many calls are kept one by one."""
DECLARING = frozenset({"settings", "actions", "engines"})
ERRORS = 5
"""How many errors are kept of a plugin's turn."""


class Call(NamedTuple):
    """One call of one plugin's hook. Times in seconds; `result` in few words; `turn` counts from 1."""

    hook: str
    plugin: str
    seconds: float
    held: float
    result: str
    error: str = ""
    turn: int = 1


@dataclass(slots=True)
class Cost:
    """What the calls of one hook of one plugin took in a turn, in seconds; `longest` is the longest a call held."""

    calls: int = 0
    seconds: float = 0.0
    held: float = 0.0
    longest: float = 0.0


@dataclass(slots=True)
class TurnCost:
    """What the plugins cost in a turn: by (plugin, hook), tokens they added to the prompt, what they raised."""

    hooks: dict[tuple[str, str], Cost] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    errors: dict[str, list[str]] = field(default_factory=dict)

    def add(self, call: Call) -> None:
        """Count a call."""
        cost = self.hooks.setdefault((call.plugin, call.hook), Cost())
        cost.calls += 1
        cost.seconds += call.seconds
        cost.held += call.held
        cost.longest = max(cost.longest, call.held)
        if call.error:
            from chatapp.tracing import masked

            errors = self.errors.setdefault(call.plugin, [])
            if len(errors) < ERRORS:
                errors.append(masked(f"{call.hook}: {call.error}"))


class Calls:
    """The calls of a host's hooks: the latest one by one, and the costs of the latest turns.

    What happens before the first turn counts to it, what happens after a turn to the one that follows, of whichever
    session it is. They are traced where the variables in `environ` ask for it.
    """

    def __init__(self, environ: Mapping[str, str] = MappingProxyType({})) -> None:
        self.recent: deque[Call] = deque(maxlen=RECENT)
        self.turns: deque[TurnCost] = deque([TurnCost()], maxlen=TURNS + 1)
        self.finished = 0
        """How many turns have ended; the last of `turns` is the one that has not."""
        self.trace: Trace | None = None
        if "CHATAPP_TRACE" in environ:
            from chatapp.tracing import Trace

            self.trace = Trace.wanted(environ)

    @property
    def ended(self) -> list[TurnCost]:
        """The costs of the turns that have ended, oldest first."""
        return list(self.turns)[:-1]

    def trace_beside(self, path: Path) -> Path | None:
        """Where the trace is written from now on: not on standard error, which shows something else; None without one.

        That is `path`, unless ``CHATAPP_TRACE_FILE`` says another place.
        """
        if self.trace is None:
            return None
        self.trace.path = self.trace.path or path
        return self.trace.path

    def begin(self, hook: str, plugin: str) -> Watch:
        """The watch on a call that begins now."""
        return Watch(self, hook, plugin)

    def add(self, watch: Watch) -> None:
        """Keep a call that has ended."""
        hook, plugin = watch.hook, watch.plugin
        error = "" if watch.error is None else f"{type(watch.error).__name__}: {watch.error}"
        # A transform that reads ahead in a task of its own gives back more than it took.
        seconds, held = max(watch.seconds, 0.0), max(watch.held, 0.0)
        call = Call(hook, plugin, seconds, held, summary(watch.result), error, self.finished + 1)
        self.recent.append(call)
        # What plugins declare is asked when they are loaded, and is part of `Plugin.seconds`.
        if hook not in DECLARING:
            self.turns[-1].add(call)
        if self.trace is not None:
            self.trace.add(call, watch.result)

    def turn_ended(self, turn: Turn | None) -> None:
        """A turn is over; what follows belongs to the next."""
        tokens = self.turns[-1].tokens
        for piece in turn.sent if turn is not None else ():
            tokens[piece.plugin] = tokens.get(piece.plugin, 0) + piece.tokens
        if turn is not None and not turn.session.keep:
            # What was raised may quote the conversation, which is not to be written anywhere.
            self.turns[-1].errors.clear()
        self.finished += 1
        self.turns.append(TurnCost())

    def over(self, milliseconds: float) -> dict[tuple[str, str], float]:
        """(plugin, hook) of those that held the event loop longer than that in two turns or more, and how long at most.

        Once may be chance, such as what is imported in the first turn.
        """
        found: dict[tuple[str, str], list[float]] = {}
        for turn in self.turns:
            for key, cost in turn.hooks.items():
                if cost.longest * 1e3 > milliseconds:
                    found.setdefault(key, []).append(cost.longest)
        return {key: max(longest) for key, longest in found.items() if len(longest) > 1}


class Watch:
    """Times one call, from its making to `end`. Set `result` or `error` before; without either it was cancelled."""

    __slots__ = ("_began", "_calls", "error", "held", "hook", "plugin", "result", "seconds")

    def __init__(self, calls: Calls, hook: str, plugin: str) -> None:
        self._calls, self.hook, self.plugin = calls, hook, plugin
        self.result: Any = STOPPED
        self.error: BaseException | None = None
        self.held = 0.0
        self.seconds = 0.0
        self._began = perf_counter()

    def end(self, *, streamed: bool = False, plain: bool = False) -> None:
        """Keep the call; of one that `streamed`, the time between its events is not its own; a `plain` one held all."""
        if not streamed:
            self.seconds = perf_counter() - self._began
        if plain:
            self.held = self.seconds
        self._calls.add(self)


class Words(str):
    """A result in words already."""

    __slots__ = ()


STOPPED = Words("stopped")
"""The result of a call that was cancelled."""


class Steps:
    """Await this in place of `work`: what each of its steps takes is added to the watch, or with -1 taken off it."""

    __slots__ = ("_sign", "_steps", "_watch")

    def __init__(self, work: Awaitable[Any], watch: Watch, sign: int = 1) -> None:
        self._steps: Any = work.__await__()
        self._watch, self._sign = watch, sign

    def __await__(self) -> Any:
        return self

    def __iter__(self) -> Steps:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        """Run the next step."""
        began = perf_counter()
        try:
            return self._steps.send(value)
        finally:
            self._watch.held += self._sign * (perf_counter() - began)

    def throw(self, *error: Any) -> Any:
        """Run the next step with an error, such as that it is cancelled."""
        began = perf_counter()
        try:
            return self._steps.throw(*error)
        finally:
            self._watch.held += self._sign * (perf_counter() - began)

    def close(self) -> None:
        """Give up."""
        self._steps.close()


class Metered:
    """A stream whose events are timed: a transform's own (1), and (-1) those it reads, which take no time of its own.

    Closing it closes the stream; the watch on a transform ends with that.
    """

    def __init__(self, stream: AsyncIterator[Event], watch: Watch, sign: int) -> None:
        self._stream, self._events = stream, aiter(stream)
        self._watch, self._sign = watch, sign
        self._count = 0

    def __aiter__(self) -> Metered:
        return self

    async def __anext__(self) -> Event:
        began = perf_counter()
        try:
            event: Event = await Steps(anext(self._events), self._watch, self._sign)
            self._count += 1
            return event
        finally:
            self._watch.seconds += self._sign * (perf_counter() - began)

    async def aclose(self) -> None:
        """Close the stream."""
        try:
            if hasattr(self._stream, "aclose"):
                await self._stream.aclose()
        finally:
            if self._sign > 0:
                self._watch.result = Words(f"{self._count} events")
                self._watch.end(streamed=True)


def summary(value: Any) -> str:
    """A result in few words: ``2 Block``, ``Request``, ``nothing``."""
    if value is None:
        return "nothing"
    if isinstance(value, list):
        return f"{len(value)} {type(value[0]).__name__}" if value else "none"
    return value if isinstance(value, Words) else type(value).__name__
