"""`eval experts FILE`: is the right expert chosen, and what is that worth, against one expert always and none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

from chatapp import Event, Notice, Progress, Session, UsageError
from chatapp_experts.answers import answered
from chatapp_experts.files import Expert
from chatapp_experts.head import NONE, fitting
from chatapp_experts.judging import CHECKS
from chatapp_experts.labelled import Labelled, load
from chatapp_experts.shelf import shelf
from chatapp_experts.splits import Judged, Plan, reported_gate
from chatapp_experts.state import choice
from chatapp_experts.vectors import identity, open_embedder


async def measured(session: Session, plan: Plan) -> AsyncGenerator[Event, None]:
    """The gate's tables for each file, then what the answers are worth."""
    experts = await asyncio.to_thread(shelf(session.host).experts)
    names = [*(expert.name for expert in experts), NONE]
    splits = {path.stem: await asyncio.to_thread(_messages, plan, path, names) for path in plan.files}
    for split, messages in splits.items():
        rows: list[Judged] = []
        async with aclosing(_gate(session, plan, messages, rows)) as news:
            async for progress in news:
                yield progress
        yield Notice(await _known(session, experts, plan, messages))
        for part in reported_gate(split, rows, names):
            yield part
        if plan.gate_only:
            continue
        async with aclosing(answered(session, plan, split, rows, experts)) as events:
            async for event in events:
                yield event


def _messages(plan: Plan, path: Path, names: Sequence[str]) -> list[Labelled]:
    messages = load(path.expanduser(), names)[: plan.limit]
    for message in messages:
        if message.expert not in CHECKS and not plan.gate_only:
            raise UsageError(
                f"Answers can be judged for {', '.join(CHECKS)}, not for {message.expert!r}: add --gate-only."
            )
    return messages


async def _gate(
    session: Session, plan: Plan, messages: Sequence[Labelled], rows: list[Judged]
) -> AsyncGenerator[Progress, None]:
    """Judge each message as a turn would."""
    await open_embedder(session)
    floor = choice(session).floor
    judge = shelf(session.host).judge
    for number, message in enumerate(messages):
        yield Progress("Judging messages", number, len(messages), "messages")
        began = time.perf_counter()
        verdict = await judge(session, message.text, plan.top, floor, trained=not plan.likeness)
        rows.append(Judged(message, verdict, time.perf_counter() - began))


async def _known(session: Session, experts: Sequence[Expert], plan: Plan, messages: Sequence[Labelled]) -> str:
    """By what was judged, and how many of the messages were learnt from."""
    model = identity(await open_embedder(session))
    head = None if plan.likeness else await asyncio.to_thread(fitting, session.host, model, experts)
    if head is None:
        return f"Judged by likeness to the experts' examples, with {model}."
    seen = sum(message.key in head.seen for message in messages)
    return f"Judged by the trained gate, with {model}; it learnt from {seen} of these {len(messages)} messages."
