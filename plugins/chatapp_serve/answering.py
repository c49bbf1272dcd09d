"""From a request to an answer: a session for each, with the plugins that any session has."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from chatapp import (
    ChatappError,
    Event,
    Finished,
    Host,
    ReasoningDelta,
    Session,
    Source,
    TextDelta,
    ToolCall,
    Usage,
)
from chatapp_serve import shaping
from chatapp_serve.bodies import Chat
from chatapp_serve.naming import switch_on, wanted
from chatapp_serve.queueing import Turns
from chatapp_serve.quiet import Quiet
from chatapp_serve.refusing import Refused


@dataclass(slots=True)
class Choice:
    """One answer as it comes together."""

    text: list[TextDelta] = field(default_factory=list)
    reasoning: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    usages: list[Usage] = field(default_factory=list)
    finished: Finished = field(default_factory=Finished)

    def take(self, event: Event) -> dict[str, Any] | None:
        """Note an event; what it adds to a streamed answer, None for nothing."""
        if isinstance(event, TextDelta):
            self.text.append(event)
            return {"content": event.text}
        if isinstance(event, ReasoningDelta):
            self.reasoning += event.text
            return {"reasoning_content": event.text}
        if isinstance(event, ToolCall):
            self.calls.append(event)
            return {"tool_calls": [{"index": len(self.calls) - 1, **shaping.call(event)}]}
        if isinstance(event, Source):
            self.sources.append(event)
        elif isinstance(event, Usage):
            self.usages.append(event)
        elif isinstance(event, Finished):
            self.finished = event
        return None

    def shaped(self, index: int) -> dict[str, Any]:
        """The whole of it."""
        message: dict[str, Any] = {"role": "assistant", "content": "".join(each.text for each in self.text) or None}
        message["refusal"] = None
        message |= {"tool_calls": [shaping.call(each) for each in self.calls]} if self.calls else {}
        message |= {"reasoning_content": self.reasoning} if self.reasoning else {}
        message |= {"sources": [shaping.cited(each) for each in self.sources]} if self.sources else {}
        reason = shaping.REASONS[self.finished.reason]
        return {
            "index": index,
            "message": message,
            "logprobs": shaping.probabilities(self.text),
            "finish_reason": reason,
        }


class Answering:
    """Answers chat requests on one host, one after another; `seconds` an answer may take."""

    def __init__(self, host: Host, turns: Turns, seconds: float, most: int) -> None:
        self.host = host
        self.turns = turns
        self._seconds = seconds
        self._most = most

    async def session(self, body: Chat, choice: int) -> Session:
        """A session that stands before its answer; Refused says what of the request cannot be."""
        system, conversation = body.conversation()
        if (body.n or 1) > self._most:
            raise Refused(400, f"n is {body.n}, and {self._most} answers are the most.")
        session = Session(self.host, conversation, ui=Quiet(), keep=False)
        session.outside = body.offered()
        session.values["sampling"] = body.sampling(choice)
        await switch_on(session, wanted(session, body.model))
        if system:
            session.values["system"] = system
        return session

    async def events(self, session: Session) -> AsyncGenerator[Event, None]:
        """One answer, event by event; Refused when there is none."""
        try:
            async with asyncio.timeout(self._seconds), aclosing(session.go_on()) as events:
                async for event in events:
                    if isinstance(event, Finished) and event.reason == "failed":
                        # Not 500, which a client would try again: the same request fails again.
                        raise Refused(422, event.error)
                    yield event
        except TimeoutError:
            raise Refused(504, f"The answer took longer than the {self._seconds:.0f} seconds it may take.") from None
        except ChatappError as error:
            raise Refused(400, str(error)) from error

    async def whole(self, body: Chat, client: str) -> dict[str, Any]:
        """All answers to a request at once."""
        head = _head(body)
        first = await self.session(body, 0)
        choices = [Choice() for _ in range(body.n or 1)]
        for number, choice in enumerate(choices):
            session = first if number == 0 else await self.session(body, number)
            async with self.turns.turn(client), aclosing(self.events(session)) as events:
                async for event in events:
                    choice.take(event)
        shaped = [choice.shaped(number) for number, choice in enumerate(choices)]
        usage = shaping.cost(usage for choice in choices for usage in choice.usages)
        return {**head, "object": "chat.completion", "choices": shaped, "usage": usage}

    async def streamed(self, body: Chat, first: Session, client: str) -> AsyncGenerator[dict[str, Any], None]:
        """The answers to a request, chunk by chunk."""
        head = _head(body)
        usages: list[Usage] = []
        for number in range(body.n or 1):
            choice = Choice()
            session = first if number == 0 else await self.session(body, number)
            async with self.turns.turn(client), aclosing(self.events(session)) as events:
                yield shaping.chunk(head, number, {"role": "assistant", "content": ""})
                async for event in events:
                    delta = choice.take(event)
                    if delta is not None:
                        deltas = [event] if isinstance(event, TextDelta) else []
                        yield shaping.chunk(head, number, delta, logprobs=shaping.probabilities(deltas))
            usages += choice.usages
            last = {"sources": [shaping.cited(each) for each in choice.sources]} if choice.sources else {}
            yield shaping.chunk(head, number, last, finish_reason=shaping.REASONS[choice.finished.reason])
        if (body.stream_options or {}).get("include_usage"):
            yield {**head, "object": "chat.completion.chunk", "choices": [], "usage": shaping.cost(usages)}


def _head(body: Chat) -> dict[str, Any]:
    return {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": body.model}
