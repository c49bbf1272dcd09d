"""The second half of `eval experts`: the same messages answered with the gate, with one expert always, with none."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from chatapp import Data, Evaluation, Event, Notice, Progress, Session, completed, table, wilson
from chatapp_experts.files import Expert
from chatapp_experts.head import NONE, digest
from chatapp_experts.judging import CHECKS
from chatapp_experts.scoring import Verdict
from chatapp_experts.splits import Judged, Plan, share_value
from chatapp_experts.state import LAST, choose

SAMPLING = {"temperature": 0.0, "repeat_penalty": 1.0, "max_tokens": 160}
"""Greedy: the same answers each time. Long enough to tell an essay from a short answer."""
GATE = "the gate"

Mix = Mapping[str, float]


async def answered(
    session: Session, plan: Plan, split: str, rows: Sequence[Judged], experts: Sequence[Expert]
) -> AsyncGenerator[Event, None]:
    """Ask what was not asked yet, and compare: the gate's choice, each expert always, none."""
    ways: dict[str, list[Mix]] = {GATE: [row.verdict.mix for row in rows], NONE: [{}] * len(rows)}
    ways |= {f"always {each.name}": [{each.name: 1.0}] * len(rows) for each in experts if each.name in CHECKS}
    evaluation = Evaluation(_place(session, plan), await _settings(session, plan, experts))
    mixes = {_name(mix): mix for chosen in ways.values() for mix in chosen}
    # Mix by mix: each change of adapters would have the engine read again.
    asked = sorted({(_name(mix), place) for chosen in ways.values() for place, mix in enumerate(chosen)})
    left = [(name, place) for name, place in asked if _key(name, rows[place]) not in evaluation.done]
    if len(left) < len(asked):
        yield Notice(f"{len(asked) - len(left)} of {len(asked)} answers are in {evaluation.path} already.")
    for number, (name, place) in enumerate(left, len(asked) - len(left)):
        yield Progress(f"{split}: asking, {name}", number, len(asked), "answers")
        async with aclosing(_ask(session, plan, rows[place], mixes[name], evaluation)) as news:
            async for progress in news:
                yield progress
    right = {
        way: sum(bool(evaluation.done[_key(_name(mix), row)]["right"]) for mix, row in zip(chosen, rows, strict=True))
        for way, chosen in ways.items()
    }
    for part in _compared(split, right, len(rows)):
        yield part


def _name(mix: Mix) -> str:
    return Verdict(mix).told() or NONE


def _key(name: str, row: Judged) -> str:
    return f"{name}/{row.message.key}"


def _place(session: Session, plan: Plan) -> Path:
    model = re.sub(r"[^\w.-]+", "-", Path(plan.model or session.model).name)
    return plan.out or session.host.paths.data / "evaluations" / f"experts-{model}.jsonl"


async def _settings(session: Session, plan: Plan, experts: Sequence[Expert]) -> dict[str, Any]:
    """What answers depend on: with another model, expert or adapter an evaluation begins anew."""
    fresh = _fresh(session, plan, {expert.name: 1.0 for expert in experts})
    config = await session.host.hooks.fold("configure_engine", fresh.engine_config(), session=fresh)
    files = {each.name: _mark(Path(each.path)) for each in config.adapters if each.path}
    texts = {expert.name: digest(expert.file.model_dump_json()) for expert in experts}
    return {"evaluation": "experts", "model": config.model, "sampling": SAMPLING, "experts": texts, "adapters": files}


def _mark(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _fresh(session: Session, plan: Plan, mix: Mix) -> Session:
    """A conversation of its own that these experts answer."""
    fresh = Session(session.host, ui=session.ui, keep=False)
    fresh.values["sampling"] = dict(SAMPLING)
    if plan.model or session.values.get("model"):
        fresh.values["model"] = plan.model or session.values["model"]
    choose(fresh, on=bool(mix), fixed=dict(mix))
    fresh.values[LAST] = Verdict(mix, by="choice").packed()
    return fresh


async def _ask(
    session: Session, plan: Plan, row: Judged, mix: Mix, evaluation: Evaluation
) -> AsyncGenerator[Progress, None]:
    fresh = _fresh(session, plan, mix)
    async with aclosing(fresh.warm()) as news:
        async for progress in news:
            yield progress
    began = time.monotonic()
    turn = await completed(fresh, row.message.text)
    right = CHECKS[row.message.expert](turn.text.strip())
    tokens = turn.usage.completion_tokens if turn.usage is not None else 0
    more = {"text": row.message.text, "label": row.message.expert, "answer": turn.text}
    evaluation.add(_key(_name(mix), row), right, tokens, time.monotonic() - began, **more)


def _compared(split: str, right: Mapping[str, int], total: int) -> list[Data]:
    best = max((way for way in right if way.startswith("always ")), key=lambda way: right[way], default="")
    rows = []
    for way, count in sorted(right.items(), key=lambda pair: -pair[1]):
        low, high = wilson(count, total)
        mark = "best single expert" if way == best else ""
        rows.append((way, count, total, f"{100 * count / total:.1f} %", f"{100 * low:.0f} to {100 * high:.0f} %", mark))
    shown = table("eval.experts.answers", ("answered by", "right", "of", "share", "95 % interval", ""), rows)
    value = {way: share_value(count, total) for way, count in right.items()}
    return [Data("eval.experts.quality", {"split": split, "best": best, **value}, f"{split}: answers"), shown]
