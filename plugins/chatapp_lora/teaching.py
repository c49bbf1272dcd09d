"""A training from the command to the stored adapter: what is asked before, the lesson, and its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from chatapp import Event, Progress, Session, UsageError
from chatapp_lora.finishing import finished
from chatapp_lora.learning import alone, begin, shown, taught
from chatapp_lora.planning import Asked, planned
from chatapp_lora.runs import Run, Runs
from chatapp_lora.store import Adapters, check_name
from chatapp_lora.training.plan import Trained


async def trained(session: Session, name: str, asked: Asked) -> AsyncGenerator[Event | str, None]:
    """Train the adapter `name` and store it; a training that was begun goes on unless another is asked for.

    Stopped, it can go on from its last checkpoint.
    """
    check_name(name)
    alone(session.host)
    lock = Runs(session.host).hold(name)
    try:
        yield Progress(f"Preparing to train {name}")
        run = await _run(session, name, asked)
        async with aclosing(_taught(session, run)) as events:
            async for event in events:
                yield event
    finally:
        lock.release()


async def _run(session: Session, name: str, asked: Asked) -> Run:
    """The training that goes on, or the new one, which is kept from here on."""
    runs = Runs(session.host)
    begun = await asyncio.to_thread(runs.find, name)
    if begun is not None and not asked.anything:
        await _fits(session, begun)
        return replace(begun, compare=begun.compare and asked.compare)
    if begun is not None and not await session.ui.confirm(
        f"Begin {name} anew?", "Its training was begun and is not finished; what it has learnt so far is lost."
    ):
        raise UsageError(f"The training {name} is kept; `/lora train {name}` without options goes on with it.")
    run = await planned(session, name, asked)
    if Adapters(session.host).own(name) and not await session.ui.confirm(
        f"Replace the adapter {name} when this is done?",
        f"It goes to the trash: `/lora restore {name}` brings it back.",
    ):
        raise UsageError(f"The adapter {name} is kept; give another name.")
    await _fits(session, run)
    await asyncio.to_thread(runs.save, run)
    return run


async def _fits(session: Session, run: Run) -> None:
    """Say what memory it takes, and ask where less is free; UsageError where it cannot be or is not wanted."""
    from chatapp_lora.training.fitting import check, needed

    fit = await asyncio.to_thread(check, run.plan)
    usual = await asyncio.to_thread(needed, run.plan)
    if fit.fits:
        # What is out of the ordinary is said: every weight trained, or slower steps for want of memory.
        if run.plan.full or fit.need.bytes != usual.bytes:
            session.ui.notify(fit.sentence)
    elif not fit.possible or not await session.ui.confirm("Train all the same?", fit.sentence):
        raise UsageError(fit.sentence)


async def _taught(session: Session, run: Run) -> AsyncGenerator[Event | str, None]:
    name = run.plan.name
    lesson = begin(run, lambda: session.busy)
    # In the shell there is no screen to show it on.
    if session.keep:
        yield shown(lesson, run)
    result: Trained | None = None
    try:
        async with aclosing(taught(session.host, run.plan, lesson)) as news:
            async for each in news:
                if isinstance(each, Trained):
                    result = each
                else:
                    yield each
    except (asyncio.CancelledError, GeneratorExit):
        session.ui.notify(f"The training of {name} is stopped at step {lesson.done}; `/lora train {name}` goes on.")
        raise
    assert result is not None, "a lesson ends with what was trained"
    async with aclosing(finished(session, run, result)) as events:
        async for event in events:
            yield event
