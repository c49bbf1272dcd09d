"""The gate: before each answer it finds the experts for the message, and lays their adapters over the model."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from chatapp import Adapter, ChatappError, EngineConfig, Session, Turn
from chatapp_experts import NOTES
from chatapp_experts.borrowing import borrow, give_back
from chatapp_experts.files import Expert
from chatapp_experts.scoring import Verdict
from chatapp_experts.shelf import shelf
from chatapp_experts.state import KEY, LAST, Choice, choice, last

ADAPTERS = "lora"
"""The plugin that finds the adapters' files, also the name of its command and of what the user chose of it."""
NOBODY = "none"


async def configured(config: EngineConfig, session: Session) -> EngineConfig | None:
    """The configuration with the adapters of the experts for this turn; between turns those of the last one."""
    chosen = choice(session)
    if not chosen.on:
        return None
    turn = session.turn if session.busy else None
    verdict = await _decided(turn, chosen) if turn is not None else last(session)
    added = await asyncio.to_thread(_adapters, session, verdict, {each.name for each in config.adapters})
    return replace(config, adapters=(*config.adapters, *added)) if added else None


async def _decided(turn: Turn, chosen: Choice) -> Verdict:
    """The verdict on this turn's message, made once; what the experts borrow is switched on with it."""
    if NOTES in turn.notes:
        return last(turn.session)
    session = turn.session
    await give_back(session)
    verdict = Verdict(chosen.fixed, {}, "choice") if chosen.fixed else await _judged(turn, chosen)
    turn.notes[NOTES] = verdict
    session.values[LAST] = verdict.packed()
    session.status[KEY] = verdict.told() or NOBODY
    experts = await active(session, verdict)
    for plugin, wanted in (("roles", "role"), ("rag", "documents")):
        names = [name for expert in experts if (name := getattr(expert.file, wanted))]
        if names:
            await borrow(session, plugin, names[0])
    return verdict


async def _judged(turn: Turn, chosen: Choice) -> Verdict:
    try:
        return await shelf(turn.session.host).judge(turn.session, turn.message.text, chosen.top, chosen.floor)
    except ChatappError as error:
        shelf(turn.session.host).tell(f"No expert was looked for: {error}")
        return Verdict()


async def active(session: Session, verdict: Verdict) -> list[Expert]:
    """The experts that answer, the weightiest first."""
    return await asyncio.to_thread(_active, session, verdict)


def _active(session: Session, verdict: Verdict) -> list[Expert]:
    known = {expert.name: expert for expert in shelf(session.host).experts()} if verdict.mix else {}
    return [known[name] for name in sorted(verdict.mix, key=lambda each: -verdict.mix[each]) if name in known]


def _adapters(session: Session, verdict: Verdict, taken: Iterable[str]) -> list[Adapter]:
    """The experts' adapters, each weighed; one that the user chose himself stays as he chose it."""
    taken = {*taken, *(session.values.get(ADAPTERS) or {})}
    scales: dict[str, float] = {}
    for expert in _active(session, verdict):
        for name, scale in expert.file.adapters.items():
            if name not in taken:
                scales[name] = scales.get(name, 0.0) + scale * verdict.mix[expert.name]
    if scales and ADAPTERS not in session.host.actions:
        shelf(session.host).tell("The plugin 'lora' is not loaded: experts answer without their adapters.")
        return []
    return [Adapter(name, "", round(scale, 3)) for name, scale in scales.items()]
