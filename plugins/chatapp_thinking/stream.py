"""The stream of an answer, as the plan of its turn wants it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from chatapp import Event, Turn
from chatapp_thinking.answering import answered
from chatapp_thinking.plan import plan_of
from chatapp_thinking.votes import voted


async def transformed(stream: AsyncIterator[Event], turn: Turn) -> AsyncGenerator[Event, None]:
    """The answer with its reasoning split off, or the majority of several."""
    request = turn.request
    if request is None:
        async for event in stream:
            yield event
        return
    how = voted if plan_of(turn).choice.votes > 1 else answered
    async with aclosing(how(stream, request, turn)) as events:
        async for event in events:
            yield event
