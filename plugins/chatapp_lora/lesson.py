"""A training as those see it who look at it: how far it is, its losses, and whether it is paused."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from chatapp import EngineError, Progress, Watched
from chatapp_lora.training.plan import Step, Trained

State: TypeAlias = Literal["preparing", "training", "paused", "done", "stopped", "failed"]
News: TypeAlias = Progress | Step | Trained
SMOOTHING = 0.8
"""How much of the smoothed loss is what it was before: the loss of a single batch jumps."""
END = object()
LOOKED_AT = 8
"""Steps whose time says how long the rest takes."""
TOLD = 20
"""How often, over a whole training, the line of its progress says the loss anew."""


@dataclass(eq=False)
class Lesson(Watched):
    """A training that goes on; those who `watch` are told of changes.

    `done` and `total` are steps, `note` is what is being prepared, `memory` the bytes the training takes. `waits` says
    whether it is held up, as while an answer streams.
    """

    name: str
    total: int
    waits: Callable[[], bool] = lambda: False
    state: State = "preparing"
    note: str = ""
    share: float = 0.0
    memory: int = 0
    steps: list[Step] = field(default_factory=list)
    _seconds: list[float] = field(default_factory=list)
    _halt: asyncio.Event = field(default_factory=asyncio.Event)
    _go: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def done(self) -> int:
        """How many steps are done."""
        return self.steps[-1].step if self.steps else 0

    @property
    def over(self) -> bool:
        """Whether nothing more comes."""
        return self.state in ("done", "stopped", "failed")

    @property
    def losses(self) -> list[tuple[int, float]]:
        """(step, loss) on the training data, smoothed."""
        return list(zip((each.step for each in self.steps), smoothed(each.loss for each in self.steps), strict=True))

    @property
    def held_out(self) -> list[tuple[int, float]]:
        """(step, loss) on what was held out."""
        return [(each.step, each.held_out) for each in self.steps if each.held_out is not None]

    @property
    def seconds_a_step(self) -> float | None:
        """How long a step takes now; None while that cannot be said."""
        return statistics.median(self._seconds[-LOOKED_AT:]) if self._seconds else None

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes if it goes on so; None while that cannot be said."""
        each = self.seconds_a_step
        return None if each is None else each * (self.total - self.done)

    @property
    def progress(self) -> Progress:
        """How far it is, in a line that says the loss now and then."""
        every = max(1, self.total // TOLD)
        seen = self.losses[: len(self.steps) // every * every or 1]
        said = [f"loss {seen[-1][1]:.2f}"] if seen else []
        said += [f"{human_time(self.seconds_left)} left"] if self.seconds_left is not None and seen else []
        said = ["paused"] if self.state == "paused" else said
        return Progress(", ".join([f"Training {self.name}", *said]), self.done, self.total, "steps")

    def become(self, state: State) -> None:
        """Go on to another state."""
        self.state = state
        self.changed()

    def prepare(self, progress: Progress) -> None:
        """Take in what is being prepared."""
        self.note = progress.label
        self.share = progress.done / progress.total if progress.total else 0.0
        self.changed()

    def step(self, step: Step) -> None:
        """Take in a step; one that is done again after a stop takes the place of the first time."""
        self.steps = [each for each in self.steps if each.step < step.step]
        self.steps.append(step)
        self._seconds.append(step.seconds)
        self.memory = step.memory or self.memory
        self.state, self.note = "training", ""
        self.changed()

    def pause(self, on: bool | None = None) -> None:
        """Give the processor back until it is to go on; None changes to the other."""
        on = not self._halt.is_set() if on is None else on
        if on:
            self._go.clear()
            self._halt.set()
        else:
            self._halt.clear()
            self._go.set()
        self.changed()

    @property
    def pausing(self) -> bool:
        """Whether it is paused, or will be as soon as the step is done."""
        return self._halt.is_set() and not self.over

    async def until_paused(self, news: AsyncGenerator[News, None]) -> AsyncGenerator[News, None]:
        """What comes, until it is to be paused; `news` is left for the caller to close."""
        halted = asyncio.ensure_future(self._halt.wait())
        try:
            while not self._halt.is_set():
                event = await _first(asyncio.ensure_future(anext(news, END)), halted)
                if event is END:
                    raise EngineError(f"The training of {self.name} ended without an adapter: begin it anew.")
                if event is not None:
                    yield event
        finally:
            halted.cancel()

    async def resumed(self) -> None:
        """Wait until it is to go on."""
        await self._go.wait()


async def _first(coming: asyncio.Future[Any], halted: asyncio.Future[Any]) -> Any:
    """What comes, or None where the other is done first; `coming` is over in any case."""
    try:
        await asyncio.wait({coming, halted}, return_when=asyncio.FIRST_COMPLETED)
        return coming.result() if coming.done() else None
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.wait({coming})


def smoothed(losses: Iterable[float]) -> list[float]:
    """Each loss as a mean that forgets, corrected for having begun at nothing (Kingma and Ba, 2015)."""
    mean, found = 0.0, []
    for number, loss in enumerate(losses, 1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        found.append(mean / (1 - SMOOTHING**number))
    return found


def human_time(seconds: float | None) -> str:
    """``42 s``, ``3 min``, ``1 h 5 min``; empty for None."""
    if seconds is None:
        return ""
    if seconds < 90:
        return f"{max(round(seconds), 0)} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def best_of(held_out: Sequence[tuple[int, float]]) -> tuple[int, float] | None:
    """The step with the least held-out loss; None while none was taken."""
    return min(held_out, key=lambda pair: pair[1], default=None)
