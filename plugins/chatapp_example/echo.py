"""An engine in forty lines: it repeats the last message, word by word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

from chatapp import EngineConfig, EngineInfo, Event, Finished, Host, Report, Request, TextDelta, Usage, chat_text

CONTEXT = 4096
"""Tokens; a token is a word here."""


class Echo:
    """Repeats what it hears. An engine is any object with these five members."""

    info = EngineInfo("echo", "echo", CONTEXT)

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """The last message again; a real engine would ask a model here."""
        words = request.messages[-1].text.split(" ")
        for place, word in enumerate(words):
            await asyncio.sleep(0)
            yield TextDelta(word if place == 0 else f" {word}")
        prompt = sum(await self.count_tokens([chat_text(message) for message in request.messages]))
        yield Usage(prompt_tokens=prompt, completion_tokens=len(words), context_length=CONTEXT)
        yield Finished()

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """A token is a word."""
        return [len(text.split()) for text in texts]

    async def tune(self, config: EngineConfig) -> bool:
        """There is nothing to tune."""
        return config.model == "echo"

    async def close(self) -> None:
        """There is nothing to give back."""


async def open_echo(host: Host, config: EngineConfig, report: Report) -> Echo:
    """Open the engine; a real one would report Progress while it loads."""
    return Echo()
