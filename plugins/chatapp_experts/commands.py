"""`/experts` and what is below it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from chatapp import Data, Event, Rest, Session, UsageError, action, table

# Every start of chatapp imports this file for its declarations: what the commands do is imported when one runs.
if TYPE_CHECKING:
    from chatapp_experts.scoring import Verdict

MOST = 4
"""Experts that may answer one message together."""


def _ways(session: Session, prefix: str) -> Iterable[str]:
    from chatapp_experts.files import paths

    return ("on", "off", "top 2", "floor 0.4", *paths(session.host))


@action("experts", ask=True, shell=False)
async def experts(
    session: Session,
    how: Annotated[str, "on, off, top and a number, floor and a score, or an expert's name", Rest(), _ways] = "",
) -> AsyncIterator[Event | str]:
    """Find an expert for each message: on, off, top 2, floor 0.5, or always the one that is named; alone, list them.

    An expert is adapters, a role, documents and sampling in one. `floor auto` is the floor that was measured best.
    """
    word, _, rest = how.strip().partition(" ")
    if word in ("", "list"):
        async for each in _listed(session):
            yield each
        return
    change = _CHANGES.get(word)
    changes = change(rest.strip()) if change else await asyncio.to_thread(_fixed, session, how.strip())
    if changes["on"] and not changes.get("fixed"):
        # The embedding model now, while the user sees why it takes a moment, not at the first message.
        async with aclosing(session.host.engines.ready(session, "embedding")) as news:
            async for progress in news:
                yield progress
    from chatapp_experts.state import choose

    choose(session, **changes)
    await session.save()
    yield _state(session)


def _top(value: str) -> dict[str, Any]:
    if not value.isdecimal() or not 1 <= int(value) <= MOST:
        raise UsageError(f"Say how many experts may answer together, 1 to {MOST}: /experts top 2.")
    return {"on": True, "fixed": {}, "top": int(value)}


def _floor(value: str) -> dict[str, Any]:
    try:
        floor = None if value == "auto" else float(value)
    except ValueError:
        floor = -1.0
    if floor is not None and not 0 <= floor <= 1:
        raise UsageError("Say from which score on an expert answers, 0 to 1: /experts floor 0.5, or auto.")
    return {"on": True, "fixed": {}, "floor": floor}


def _fixed(session: Session, name: str) -> dict[str, Any]:
    from chatapp_experts.files import find

    return {"on": True, "fixed": {find(session.host, name).name: 1.0}}


_CHANGES: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "on": lambda rest: {"on": True, "fixed": {}},
    "off": lambda rest: {"on": False, "fixed": {}},
    "top": _top,
    "floor": _floor,
}


def _state(session: Session) -> str:
    """How the gate is set, in a sentence."""
    from chatapp_experts.state import choice

    now = choice(session)
    if not now.on:
        return "No expert is looked for; /experts on does that."
    if now.fixed:
        return f"{next(iter(now.fixed))} answers every message; /experts on leaves it to the gate."
    who = "The best expert answers" if now.top == 1 else f"The best {now.top} experts answer"
    floor = "" if now.floor is None else f", from a score of {now.floor:g} on"
    return f"{who} each message{floor}; the model alone where none fits."


async def _listed(session: Session) -> AsyncIterator[Event | str]:
    from chatapp_experts.state import last

    yield _state(session)
    yield await asyncio.to_thread(_table, session, last(session))


def _table(session: Session, verdict: Verdict) -> Data:
    from chatapp_experts.files import BUNDLED, paths, read

    rows = []
    for name, path in paths(session.host).items():
        try:
            file = read(path).file
            about = (file.description, " ".join(_scaled(*pair) for pair in file.adapters.items()))
        except UsageError as error:
            about = (f"Cannot be used: {error}", "")
        whose = "bundled" if path.parent == BUNDLED else "yours"
        rows.append((name, *about, _number(verdict.mix.get(name)), whose))
    return table("experts", ("expert", "what it does", "adapters", "last weight", "whose"), rows)


def _scaled(name: str, scale: float) -> str:
    return name if scale == 1.0 else f"{name}={scale:g}"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


@action("experts list")
async def list_(session: Session) -> AsyncIterator[Event | str]:
    """List the experts: what each does, its adapters, and its weight in the last answer."""
    async for each in _listed(session):
        yield each


@action("experts why", shell=False)
async def why(session: Session) -> AsyncIterator[Event | str]:
    """Show who was considered for the last message, with what score, and who answered with what weight."""
    from chatapp_experts.state import last

    verdict = last(session)
    if not verdict.by:
        raise UsageError("No message was judged yet; /experts on has the next one judged.")
    if verdict.by == "choice":
        yield f"{verdict.told()} was chosen by you."
        return
    what = {"training": "Probabilities by the trained gate", "likeness": "Likeness to the experts' examples"}
    end = f"{verdict.told()} answered." if verdict.mix else "None answered."
    yield f"{what[verdict.by]}; an expert answers from {verdict.floor:.2f} on. {end}"
    order = sorted(verdict.scores, key=lambda name: -verdict.scores[name])
    rows = [(name, _number(verdict.scores[name]), _number(verdict.mix.get(name))) for name in order]
    yield table("experts.why", ("expert", "score", "weight"), rows)


@action("experts train")
async def train(
    session: Session,
    *files: Annotated[Path, 'JSON lines with "text" and "expert" (a name, or none); by default those that come along'],
    out: Annotated[Path | None, "Write what was learnt there instead of putting it in force"] = None,
) -> AsyncIterator[Event | str]:
    """Teach the gate by labelled messages, and by the examples in the experts' files."""
    from chatapp_experts.training import trained

    async with aclosing(trained(session, files, out)) as events:
        async for event in events:
            yield event


@action("eval experts")
async def evaluate(
    session: Session,
    *files: Annotated[Path, 'JSON lines with "text" and "expert" (a name, or none)'],
    top: Annotated[int, "How many experts may answer one message"] = 1,
    model: Annotated[str, "The model that answers"] = "",
    gate_only: Annotated[bool, "Only which expert is chosen, no answers"] = False,
    likeness: Annotated[bool, "Judge by likeness, without what was trained"] = False,
    limit: Annotated[int | None, "Only the first so many of each file"] = None,
    out: Annotated[Path | None, "Where the answers are kept, to go on from after a stop"] = None,
) -> AsyncIterator[Event]:
    """Measure how often the right expert is chosen, and what that is worth: with the gate, one expert always, none.

    A run that was stopped goes on where it was.
    """
    from chatapp_experts.evaluating import measured
    from chatapp_experts.splits import Plan

    if not files:
        raise UsageError("Name a file of labelled messages: `eval experts FILE`.")
    plan = Plan(files, min(max(top, 1), MOST), model, gate_only, likeness, limit, out)
    async with aclosing(measured(session, plan)) as events:
        async for event in events:
            yield event


ACTIONS = (experts, list_, why, train, evaluate)
