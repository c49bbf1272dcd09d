"""`/lora train` and what belongs to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

from chatapp import Data, Event, Session, UsageError, action, table

# Every start of chatapp imports this file for its declarations: what the commands do is imported when one runs.


def _begun(session: Session, prefix: str) -> Iterable[str]:
    from chatapp_lora.runs import Runs

    return Runs(session.host).names()


def _models(session: Session, prefix: str) -> Iterable[str]:
    return [each.name for each in session.host.models.list()]


def _targets(session: Session, prefix: str) -> Iterable[str]:
    return ("q,v", "q,k,v,o", "q,k,v,o,gate,up,down")


@action("lora train", beside=True)
async def train(
    session: Session,
    name: Annotated[str, "What to call the adapter; one that was begun goes on", _begun],
    *,
    data: Annotated[Path | None, "Chats to learn from, as JSON lines"] = None,
    shots: Annotated[str, "A set of examples to learn from, as /shots list has them"] = "",
    here: Annotated[bool, "Learn from the answers marked here by /good and /fix"] = False,
    base: Annotated[str, "The model to train for; otherwise the one that answers", _models] = "",
    rank: Annotated[int | None, "How much an adapter can hold; 8 if not given"] = None,
    alpha: Annotated[float | None, "How strongly it works, divided by the rank; twice the rank if not given"] = None,
    targets: Annotated[str, "What is changed in each layer: q,k,v,o if not given", _targets] = "",
    steps: Annotated[int | None, "Steps; two passes over the examples if not given, 30 at least"] = None,
    lr: Annotated[float | None, "The learning rate; 0.001 if not given"] = None,
    batch: Annotated[int | None, "Examples in a step; 4 if not given"] = None,
    longest: Annotated[int | None, "Tokens at which an example is cut; 512 if not given"] = None,
    activated: Annotated[bool, "Work from the beginning of an answer on, so that switching costs nothing"] = False,
    full: Annotated[bool, "Train the whole model, which takes 16 bytes of memory for each weight"] = False,
    seed: Annotated[int, "The same seed holds out the same examples and takes them in the same order"] = 0,
    compare: Annotated[bool, "Answer held-out prompts without and with it at the end"] = True,
) -> AsyncGenerator[Event | str, None]:
    """Train an adapter on this machine while the chat goes on; a training that was stopped goes on where it was.

    It learns from a file, a set of examples, or the answers marked here. The model itself is not changed.
    """
    from chatapp_lora.planning import Asked
    from chatapp_lora.teaching import trained

    numbers = (rank, alpha, targets, steps, lr, batch, longest)
    asked = Asked(data, shots, here, base, *numbers, activated, full, seed, compare)
    async with aclosing(trained(session, name, asked)) as events:
        async for event in events:
            yield event


@action("lora pause", shell=False, during=True)
async def pause(session: Session) -> str:
    """Pause the training under way, or let it go on."""
    from chatapp_lora.learning import school

    lesson = school(session.host).lesson
    if lesson is None:
        raise UsageError("Nothing is being trained now; `/lora trainings` lists what can go on.")
    lesson.pause()
    how = "is paused: /lora pause lets it go on" if lesson.pausing else "goes on"
    return f"The training of {lesson.name} {how}."


@action("lora trainings")
async def trainings(session: Session) -> Data:
    """List the trainings that were begun and are not finished."""
    rows = await asyncio.to_thread(_rows, session)
    return table(
        "lora.trainings", ("name", "step", "of", "made for", "learns from"), rows, "No training is unfinished."
    )


def _rows(session: Session) -> list[tuple[Any, ...]]:
    from chatapp_lora.runs import Runs, noted

    runs = Runs(session.host)
    found: list[tuple[Any, ...]] = []
    for name in runs.names():
        done = noted(runs.place(name))
        step = done[-1].step if done else 0
        try:
            run = runs.find(name)
        except UsageError as error:
            found.append((name, step, "", "", str(error)))
            continue
        if run is not None:
            found.append((name, step, run.plan.steps, run.base, run.source))
    return found


@action("lora forget")
async def forget(session: Session, name: Annotated[str, "An unfinished training", _begun]) -> str:
    """Drop an unfinished training with what it has learnt so far."""
    from chatapp_lora.runs import Runs
    from chatapp_lora.store import check_name

    check_name(name)
    runs = Runs(session.host)
    if not await asyncio.to_thread(runs.place(name).is_dir):
        raise UsageError(f"There is no unfinished training {name}; `/lora trainings` lists them.")
    lock = runs.hold(name)
    try:
        if not await session.ui.confirm(f"Drop the unfinished training {name}?", "What it has learnt is lost."):
            raise UsageError(f"The training {name} is kept; `/lora train {name}` goes on with it.")
        await asyncio.to_thread(runs.forget, name)
    finally:
        lock.release()
    return f"The training {name} is dropped."


ACTIONS: tuple[Any, ...] = (train, pause, trainings, forget)
"""The actions of this file."""
