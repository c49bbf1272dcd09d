"""A llama engine on a tiny model, and what it answers: for tests of adapters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatapp import Adapter, EngineConfig, Event, Message, Notice, Request, Sampling, TextDelta, Usage
from chatapp.workers import Workers
from chatapp_llama.engine import ENVIRONMENT, TARGET, LlamaEngine
from chatapp_llama.size import Size

SIZE = Size(1024, 1, 0, 128, 0)
CLOSE = 0.02
"""The most that log probabilities differ by rounding (keys and values are kept in 16 bits)."""


@asynccontextmanager
async def opened(
    model: Path, *adapters: Adapter, target: str = TARGET, size: Size = SIZE
) -> AsyncIterator[LlamaEngine]:
    """An engine that will load the model at its first use."""
    workers = Workers()
    worker = workers.add("llama", target, ENVIRONMENT)
    config = EngineConfig(str(model), adapters=adapters)
    engine = LlamaEngine(worker, config, model, size, Sampling())
    try:
        yield engine
    finally:
        await engine.close()
        await workers.close()


@dataclass(frozen=True)
class Answer:
    """What came of a request; `logprobs` are those of each token's alternatives, from the likeliest on."""

    text: str
    logprobs: tuple[tuple[float, ...], ...]
    usage: Usage
    notices: tuple[str, ...]

    def like(self, other: Answer) -> bool:
        """Whether both say the same with the same confidence; sums differ in their last bits, by how they are read."""
        pairs = zip(self.logprobs, other.logprobs, strict=False)
        gap = max(abs(one - two) for ones, twos in pairs for one, two in zip(ones, twos, strict=True))
        return self.text == other.text and len(self.logprobs) == len(other.logprobs) and gap < CLOSE


async def ask(engine: LlamaEngine, *messages: Message, tokens: int = 12, top: int = 5, **sampling: Any) -> Answer:
    """The greedy answer to these messages."""
    how = Sampling(temperature=0.0, repeat_penalty=1.0, max_tokens=tokens, logprobs=top, **sampling)
    return answer_of([event async for event in engine.stream(Request(messages, how))])


def answer_of(events: Sequence[Event]) -> Answer:
    """The events of one answer, together."""
    deltas = [event for event in events if isinstance(event, TextDelta)]
    return Answer(
        "".join(delta.text for delta in deltas),
        tuple(tuple(value for _, value in token.top) for delta in deltas for token in delta.logprobs),
        next(event for event in events if isinstance(event, Usage)),
        tuple(event.text for event in events if isinstance(event, Notice)),
    )


async def lay(engine: LlamaEngine, *adapters: Adapter) -> None:
    """Lay these adapters over the model, and no others."""
    assert await engine.tune(EngineConfig(engine.config.model, adapters=adapters))
