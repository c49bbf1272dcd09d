"""Side by side: what the model answers to held-out prompts without a new adapter and with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from chatapp import (
    Conversation,
    Data,
    EngineError,
    Finished,
    Message,
    Progress,
    Request,
    Sampling,
    Session,
    Text,
    TextDelta,
    visible,
)
from chatapp_lora.training.plan import Example

MOST = 5
"""Prompts that are answered."""
TOKENS = 80
"""Tokens of an answer at most."""
PART = "lora.compared"


@dataclass(frozen=True, slots=True)
class Compared:
    """A prompt with its two answers."""

    prompt: str
    base: str
    adapted: str


async def compared(
    session: Session, model: str, name: str, examples: Sequence[Example], most: int = MOST, tokens: int = TOKENS
) -> AsyncGenerator[Progress | list[Compared], None]:
    """Ask `model` the last question of at most `most` chats, without the adapter `name` and with it; ends with all.

    The conversation's own answers go first: one that begins meanwhile stops a question, which is then asked again.
    Afterwards the conversation has its own adapters again. Raises EngineError as the engine does.
    """
    asked = [_request(each, tokens) for each in examples[:most]]
    answers: list[list[str]] = [[], []]
    total = len(asked) * len(answers)
    try:
        for said, mix in zip(answers, ({}, {name: 1.0}), strict=True):
            for request in asked:
                yield Progress(f"Comparing with {name}", sum(map(len, answers)), total, "answers")
                async with aclosing(_answered(session, model, mix, request)) as news:
                    async for each in news:
                        if isinstance(each, str):
                            said.append(each)
                        else:
                            yield each
    finally:
        if model == session.model:
            await _take_back(session)
    prompts = [each.messages[-1].text for each in asked]
    yield [Compared(*each) for each in zip(prompts, *answers, strict=True)]


async def _take_back(session: Session) -> None:
    """Lay the conversation's own adapters on again; an answer under way has done that itself."""
    if not session.busy:
        async with aclosing(session.warm()) as news:
            async for _ in news:
                pass


def _request(example: Example, tokens: int) -> Request:
    """All of the chat but its last answer, to be answered greedily."""
    messages = tuple(Message(role, (Text(text),)) for role, text in example.messages[:-1])  # type: ignore[arg-type]
    return Request(messages, Sampling(temperature=0.0, repeat_penalty=1.0, max_tokens=tokens))


async def _answered(
    session: Session, model: str, mix: Mapping[str, float], request: Request
) -> AsyncGenerator[Progress | str, None]:
    while True:
        async with aclosing(_laid(session, model, mix)) as news:
            async for progress in news:
                yield progress
        text = None if session.busy else await _asked(session, request)
        if text is not None:
            yield text
            return


async def _laid(session: Session, model: str, mix: Mapping[str, float]) -> AsyncGenerator[Progress, None]:
    """Have these adapters on, and no others, once no answer is under way."""
    apart = Session(session.host, Conversation(values={"model": model, "lora": dict(mix)}), ui=session.ui, keep=False)
    # Nothing is added: this waits for the end of the answer that may be under way.
    await session.add()
    async with aclosing(session.host.engines.ready(apart)) as news:
        async for progress in news:
            yield progress


async def relaid(session: Session) -> None:
    """Lay this conversation's adapters on anew where a model is open, as the file of one has changed."""
    if session.host.engines.current() is not None:
        async with aclosing(_laid(session, session.model, {})) as news:
            async for _ in news:
                pass
        await _take_back(session)


async def _asked(session: Session, request: Request) -> str | None:
    """The engine's answer; None when an answer of the conversation came in between."""
    engine = session.host.engines.current()
    if engine is None:
        raise EngineError("The model was closed while it was compared; ask again.")
    said: list[str] = []
    async with aclosing(engine.stream(request)) as events:
        async for event in events:
            if session.busy:
                return None
            if isinstance(event, TextDelta):
                said.append(event.text)
            elif isinstance(event, Finished) and event.reason == "failed":
                raise EngineError(event.error)
    return "".join(said).strip()


def rows(found: Sequence[Compared]) -> list[dict[str, str]]:
    """The comparison as JSON, as it stands on the card."""
    return [{"prompt": each.prompt, "base": each.base, "adapted": each.adapted} for each in found]


def shown(found: Sequence[Compared], name: str) -> Data:
    """The comparison as a table, and as lines below one another for a plain terminal."""
    value: list[dict[str, Any]] = [
        {"prompt": each.prompt, "without": each.base, f"with {name}": each.adapted} for each in found
    ]
    width = max(len("without"), len(f"with {name}"))
    lines = [
        "\n".join(f"{column.ljust(width)}  {' '.join(str(text).split())}" for column, text in row.items())
        for row in value
    ]
    return Data(PART, value, visible("\n\n".join(lines)))
