"""What the experts add to a turn besides adapters: instructions, sampling, and the line below the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from typing import Any

from chatapp import Block, Data, Event, Finished, Request, Sampling, Session, Turn
from chatapp_experts import NOTES
from chatapp_experts.borrowing import give_back
from chatapp_experts.gate import active
from chatapp_experts.scoring import Verdict

PART = "experts.answered"
"""The name of the part that stands below an answer."""


def verdict_of(turn: Turn) -> Verdict:
    """Who answers this turn; nobody where the gate is off."""
    found: Verdict = turn.notes.get(NOTES, Verdict())
    return found


async def blocks(turn: Turn) -> Iterable[Block]:
    """The instructions of the experts that answer, beside the message."""
    return [
        Block(expert.file.instruction, f"Expert: {expert.name}", "user", "turn")
        for expert in await active(turn.session, verdict_of(turn))
        if expert.file.instruction
    ]


async def prepared(request: Request, turn: Turn) -> Request:
    """The request with the experts' sampling, the weightiest one's first; what the user set himself stays."""
    for expert in await active(turn.session, verdict_of(turn)):
        wanted = expert.file.sampling.model_dump(exclude_defaults=True)
        request = replace(request, sampling=_sampling(request.sampling, wanted, turn.session))
    return request


def _sampling(asked: Sampling, wanted: Mapping[str, Any], session: Session) -> Sampling:
    explicit, usual = session.values.get("sampling", {}), session.sampling
    free: dict[str, Any] = {
        name: tuple(value) if name == "stop" else value
        for name, value in wanted.items()
        if name not in explicit and getattr(asked, name) == getattr(usual, name)
    }
    return replace(asked, **free)


async def told(stream: AsyncIterator[Event], turn: Turn) -> AsyncIterator[Event]:
    """The answer, and below it who gave it."""
    async for event in stream:
        if isinstance(event, Finished) and event.reason in ("stop", "length"):
            yield part(verdict_of(turn))
        yield event


def part(verdict: Verdict) -> Data:
    """Who answered, as it stands below an answer: ``Expert: json`` or ``Experts: json 0.71 + shell 0.29``."""
    return Data(PART, verdict.packed(), f"Expert{'s' * (len(verdict.mix) > 1)}: {verdict.told()}")


async def concluded(turn: Turn) -> None:
    """Put back what was borrowed; an answer that was stopped gets its line too."""
    session, verdict = turn.session, verdict_of(turn)
    await give_back(session)
    if turn.finished is None or turn.finished.reason != "stopped" or not turn.answers or not verdict.mix:
        return
    # Closing a stream ends it at once: there was no chance to say it after the text.
    turn.answers[-1] = replace(turn.answers[-1], parts=(*turn.answers[-1].parts, part(verdict)))
    session.conversation.update(turn.answers[-1])
    await session.save()
