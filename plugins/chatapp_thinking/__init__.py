"""Chain of thought: splits reasoning from answers, asks for it, ends it in time, lets samples vote, and measures it.

/think on | off | auto      think before answering; auto decides by the message
/think 300                  for at most about so many tokens
/think enough               end the reasoning that is under way
/think vote 5               five samples, and the answer of most of them
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

from chatapp import Block, Event, Request, Turn, hookimpl

if TYPE_CHECKING:
    from pydantic import BaseModel


@hookimpl
def settings() -> type[BaseModel]:
    """One table, `[thinking]`, in the settings file."""
    from chatapp_thinking.options import ThinkingSettings

    return ThinkingSettings


@hookimpl
def actions() -> Iterable[Any]:
    """`/think`, `/think enough` and `chatapp eval gsm8k`."""
    from chatapp_thinking.commands import enough, gsm8k, think

    return [think, enough, gsm8k]


@hookimpl
def context(turn: Turn) -> Iterable[Block]:
    """A model that does not reason by itself is asked for steps and a marked answer, beside the user's message."""
    from chatapp_thinking.plan import blocks

    return blocks(turn)


@hookimpl
def prepare_request(request: Request, turn: Turn) -> Request | None:
    """The template's own switch for thinking, and sampling that suits it."""
    from chatapp_thinking.plan import prepare

    return prepare(request, turn)


@hookimpl
async def transform_stream(stream: AsyncIterator[Event], turn: Turn) -> AsyncIterator[Event]:
    """Reasoning apart from text; always, as a model may think unasked."""
    from contextlib import aclosing

    from chatapp_thinking.stream import transformed

    async with aclosing(transformed(stream, turn)) as events:
        async for event in events:
            yield event
