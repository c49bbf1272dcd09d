"""One answer: its reasoning split off, and ended when the budget is spent or the user has had enough of it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from chatapp import Event, Finished, Notice, Progress, ReasoningDelta, Request, TextDelta, Turn, Usage
from chatapp_thinking.closing import can_close, closing_request, cut_usage, together
from chatapp_thinking.plan import Plan, current, opened, plan_of
from chatapp_thinking.splitting import Split

BATCHED = 12
"""Characters per delta from which an engine is taken to send several tokens at once, so that they must be counted."""


@dataclass(slots=True)
class Watch:
    """What is known of an answer under way: when deltas came, prompt tokens read, whether it was cut."""

    read: int = 0
    first: float = 0.0
    last: float = 0.0
    cut: bool = False
    told: bool = False
    tokens: int = 0

    def look(self, event: Event) -> None:
        """See how many tokens of the prompt are being read."""
        if isinstance(event, Progress) and event.unit == "tokens":
            self.read = int(event.total or 0)

    def tick(self) -> None:
        """A delta came."""
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.tokens += 1


@asynccontextmanager
async def closed(stream: AsyncIterator[Event]) -> AsyncGenerator[AsyncIterator[Event], None]:
    """`stream`, closed at the end wherever it can be: one engine answers one request at a time."""
    try:
        yield stream
    finally:
        if hasattr(stream, "aclose"):
            await stream.aclose()


async def answered(stream: AsyncIterator[Event], request: Request, turn: Turn) -> AsyncGenerator[Event, None]:
    """The events of one answer to `request`; `stream` is what the engine says. Usage and Finished come last."""
    plan = plan_of(turn)
    split = Split(await opened(turn, request), marked=plan.prompted)
    watch = Watch()
    try:
        async with aclosing(_until_enough(stream, split, turn, watch)) as events:
            async for event in events:
                yield event
        if watch.cut:
            async with aclosing(_rest(request, split, turn, watch)) as events:
                async for event in events:
                    yield event
    finally:
        plan.inside = False


async def _until_enough(
    stream: AsyncIterator[Event], split: Split, turn: Turn, watch: Watch
) -> AsyncGenerator[Event, None]:
    """The stream with its reasoning split off, until there has been enough of it; `watch.cut` says that there has."""
    plan = plan_of(turn)
    async with closed(stream) as events:
        async for event in events:
            if not isinstance(event, TextDelta):
                watch.look(event)
                # What ends an answer, or interrupts it, comes after all of its text.
                for each in split.end() if not isinstance(event, (Progress, Notice, ReasoningDelta)) else ():
                    yield each
                yield event
                continue
            watch.tick()
            for each in split.feed(event):
                yield each
            plan.inside = split.inside
            if split.inside and await _enough(split, turn, watch):
                watch.cut = True
                break
    for each in split.cut() if watch.cut else split.end():
        yield each


async def _enough(split: Split, turn: Turn, watch: Watch) -> bool:
    plan = plan_of(turn)
    if not plan.enough and not await _spent(split, plan, turn):
        return False
    if can_close(split):
        return True
    if not watch.told:
        watch.told = True
        turn.session.ui.notify("This model's reasoning can only be ended by stopping the answer.", "warning")
    return False


async def _spent(split: Split, plan: Plan, turn: Turn) -> bool:
    budget, deltas = plan.choice.budget, split.deltas
    if budget is None:
        return False
    if len(split.reasoning) > BATCHED * deltas:
        deltas = (await current(turn.session).count_tokens([split.reasoning]))[0]
    return deltas >= budget


async def _rest(request: Request, split: Split, turn: Turn, watch: Watch) -> AsyncGenerator[Event, None]:
    """The answer after reasoning that was ended, with one usage for both."""
    closing = closing_request(request, split, watch.tokens)
    begun = False
    rest = Split()
    async with aclosing(current(turn.session).stream(closing)) as events:
        async for event in events:
            if isinstance(event, Usage):
                before = cut_usage(event, len(request.messages), watch.tokens, watch.last - watch.first, watch.read)
                event = together(before, event) or event
            if not isinstance(event, TextDelta):
                for each in rest.end() if isinstance(event, (Usage, Finished)) else ():
                    yield each
                yield event
                continue
            if not begun and not event.text.strip():
                continue
            event = event if begun else TextDelta(event.text.lstrip(), event.logprobs)
            begun = True
            for each in rest.feed(event):
                yield each
