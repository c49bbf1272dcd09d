"""One step at a time: what acts waits for what looks, and what was done is not done again."""

from __future__ import annotations

from collections.abc import AsyncIterator

from chatapp import Event, Finished, ToolCall, Turn, asks_first, repeats


async def in_steps(stream: AsyncIterator[Event], turn: Turn) -> AsyncIterator[Event]:
    """End an answer before a call that asks first, where it follows one that looks: the model has not seen its result.

    A small model asked to read a file and save a summary makes both calls at once, and invents the summary. Calls that
    look may come together, and so may those that act. A call that was made already ends the answer too: what follows it
    was meant to come after its result.
    """
    looked = False
    async for event in stream:
        if isinstance(event, ToolCall):
            acts = await asks_first(turn.session, event)
            if acts and looked:
                yield Finished("tool_calls")
                return
            looked = looked or not acts
        yield event
        if isinstance(event, ToolCall) and repeats(turn, event):
            yield Finished("tool_calls")
            return
