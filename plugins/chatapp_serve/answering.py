"""From a request to an answer: a session for each, with the plugins that any session has."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

from chatapp import ChatappError, Finished, Host, Session
from chatapp_serve import shaping
from chatapp_serve.bodies import Chat
from chatapp_serve.choice import Choice
from chatapp_serve.naming import Wanted, switch_on, wanted
from chatapp_serve.options import ServeSettings
from chatapp_serve.queueing import Turns
from chatapp_serve.quiet import Quiet
from chatapp_serve.refusing import Refused

NOT_FOR_OTHERS = {"memory.off": True, "tools": {"on": False}}
"""What a conversation of another program begins without: what the user asked to be remembered, and the tools that run
here, which nobody is there to allow."""
TOOL_CHOICE = "serve.tool_choice"
"""In a conversation's values: "none" where tools are told of and must not be called."""


class Answering:
    """Answers chat requests on one host, one after another."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._options = host.config(ServeSettings)
        self.turns = Turns(self._options.queue)

    async def whole(self, body: Chat, client: str) -> dict[str, Any]:
        """All answers to a request at once; Refused when there is none."""
        choices = await self._choices(body, client, lambda *_, **__: None)
        return {
            **_head(body),
            "object": "chat.completion",
            "choices": [choice.whole(number) for number, choice in enumerate(choices)],
            "usage": _cost(choices),
        }

    async def streamed(self, body: Chat, client: str) -> AsyncGenerator[dict[str, Any], None]:
        """The answers to a request, chunk by chunk; Refused when there is none, or it fails on the way.

        They are made in a task of their own: a client that reads slowly must not hold up those who wait.
        """
        head = _head(body)
        made: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()

        def tell(number: int, delta: dict[str, Any], **more: Any) -> None:
            made.put_nowait(shaping.chunk(head, number, delta, **more))

        task = asyncio.create_task(self._choices(body, client, tell))
        task.add_done_callback(lambda _: made.put_nowait(None))
        try:
            while (chunk := await made.get()) is not None:
                yield chunk
            choices = task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if (body.stream_options or {}).get("include_usage"):
            yield {**head, "object": "chat.completion.chunk", "choices": [], "usage": _cost(choices)}

    async def _choices(self, body: Chat, client: str, tell: Callable[..., None]) -> list[Choice]:
        """The answers, each of which waits for its turn; `tell` is called with a number and what is new of that one."""
        if (body.n or 1) > self._options.choices:
            raise Refused(400, f"n is {body.n}, and {self._options.choices} answers are the most.")
        # What of a request can never be answered is refused before it waits.
        sessions = [self._session(body, number) for number in range(body.n or 1)]
        wish = wanted(sessions[0], body.model)
        choices = []
        for number, session in enumerate(sessions):
            async with self.turns.turn(client):
                choices.append(await self._choice(session, wish, body, partial(tell, number)))
        return choices

    def _session(self, body: Chat, number: int) -> Session:
        """A session that stands before its answer; Refused says what of the request cannot be."""
        system, conversation = body.conversation()
        session = Session(self.host, conversation, ui=Quiet(), keep=False)
        session.outside = body.offered()
        session.values.update(NOT_FOR_OTHERS, sampling=body.sampling(number))
        if system:
            session.values["system"] = system
        if body.tool_choice == "none":
            session.values[TOOL_CHOICE] = "none"
        return session

    async def _choice(self, session: Session, wish: Wanted, body: Chat, tell: Callable[..., None]) -> Choice:
        """One answer; `tell` is called with what is new. Refused when there is none."""
        choice = Choice(tell, insisted=bool(body.insisted()), alternatives=body.top_logprobs or 0)
        try:
            async with asyncio.timeout(self._options.seconds):
                await switch_on(session, wish)
                async with aclosing(session.go_on()) as events:
                    async for event in events:
                        if isinstance(event, Finished) and event.reason == "failed":
                            # Not 500, which a client would try again: the same request fails again.
                            raise Refused(422, event.error)
                        choice.take(event)
        except TimeoutError:
            raise Refused(504, f"The answer took longer than the {self._options.seconds} s it may take.") from None
        except ChatappError as error:
            raise Refused(400, str(error)) from error
        choice.end()
        return choice


def _head(body: Chat) -> dict[str, Any]:
    return {"id": f"chatcmpl-{secrets.token_hex(12)}", "created": int(time.time()), "model": body.model}


def _cost(choices: list[Choice]) -> dict[str, Any]:
    return shaping.cost(usage for choice in choices for usage in choice.usages)
