"""Training on a host: one at a time, paused and stopped as its lesson says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakKeyDictionary

from chatapp import Data, Host, Progress, UsageError
from chatapp_lora.lesson import Lesson, News
from chatapp_lora.runs import Run, note, noted
from chatapp_lora.training.plan import Plan, Step, Trained

PART = "lora.training"
"""The name of the part that shows a training while it goes on."""


class Learner(Protocol):
    """What trains: `chatapp_lora.training.client.Trainer`."""

    def run(self, plan: Plan) -> AsyncGenerator[News, None]:
        """Train; closing it stops within a step and leaves a checkpoint, from which an equal plan goes on."""
        ...

    async def close(self) -> None:
        """Give the memory back."""
        ...


@dataclass
class School:
    """The trainings of a host: one at a time, as each takes the memory of a model. `make` gives what trains."""

    make: Callable[[Host], Learner]
    lesson: Lesson | None = None


def school(host: Host) -> School:
    """The school of this host."""
    return _SCHOOLS.setdefault(host, School(_trainer))


def alone(host: Host) -> None:
    """UsageError while another training goes on here."""
    other = school(host).lesson
    if other is not None:
        raise UsageError(f"{other.name} is being trained: wait for its end, or stop it with Esc.")


def _trainer(host: Host) -> Learner:
    from chatapp_lora.training.client import Trainer

    return Trainer(host)


_SCHOOLS: WeakKeyDictionary[Host, School] = WeakKeyDictionary()


def begin(run: Run, waits: Callable[[], bool]) -> Lesson:
    """A training that is to begin, or to go on."""
    return Lesson(run.plan.name, run.plan.steps, waits, steps=noted(run.plan.folder))


def under_way(number: object) -> Lesson | None:
    """The training of that number, None when it is over."""
    lesson = Lesson.numbered(number)
    return lesson if lesson is not None and not lesson.over else None


def shown(lesson: Lesson, run: Run) -> Data:
    """The part by which the terminal chat shows the training; elsewhere it is a line."""
    plan = run.plan
    counts = f"{len(plan.train)} examples, {len(plan.held_out)} held out"
    return Data(PART, lesson.number, f"Training {lesson.name} on {run.base}: {plan.steps} steps, {counts}.")


async def taught(host: Host, plan: Plan, lesson: Lesson) -> AsyncGenerator[Progress | Trained, None]:
    """Train, with pauses as `lesson` says. Closing it, or cancelling its task, stops within a step."""
    alone(host)
    learner = school(host).make(host)
    school(host).lesson = lesson
    try:
        while not lesson.over:
            async with aclosing(learner.run(plan)) as news, aclosing(lesson.until_paused(news)) as events:
                async for event in events:
                    _take_in(lesson, plan, event)
                    if isinstance(event, Trained):
                        lesson.become("done")
                        yield event
                        return
                    yield lesson.progress if isinstance(event, Step) else event
            lesson.become("paused")
            yield lesson.progress
            await lesson.resumed()
            lesson.become("preparing")
    except (asyncio.CancelledError, GeneratorExit):
        lesson.become("stopped")
        raise
    except BaseException:
        lesson.become("failed")
        raise
    finally:
        school(host).lesson = None
        await learner.close()


def _take_in(lesson: Lesson, plan: Plan, event: News) -> None:
    if isinstance(event, Step):
        note(plan.folder, event)
        lesson.step(event)
    elif isinstance(event, Progress):
        lesson.prepare(event)
