"""The studio of a host: paints one picture after the other, and tells those who look how far each is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias
from weakref import WeakKeyDictionary

from chatapp import Data, EngineError, Host, Media, Picture, PictureRequest, PictureStep, Progress, Session, Watched
from chatapp_images.keeping import keep, media
from chatapp_images.png import with_facts

State: TypeAlias = Literal["waiting", "opening", "painting", "done", "stopped", "failed"]
PART = "images.painting"
"""The name of the part that shows a picture while it is painted."""


@dataclass(eq=False)
class Work(Watched):
    """A picture that is being painted; `changed` tells those who `watch`.

    `preview` is a PNG of how it looks so far, `seconds_left` None while nothing can be said of it.
    """

    prompt: str
    state: State = "waiting"
    done: int = 0
    total: int = 0
    phase: Literal["forward", "reverse"] = "reverse"
    preview: bytes | None = None
    seconds_left: float | None = None
    note: str = ""
    _begun: float = 0.0

    def become(self, state: State) -> None:
        """Go on to another state."""
        self.state = state
        self.changed()

    def step(self, step: PictureStep) -> None:
        """Take in how far it is."""
        if step.phase != self.phase or not self._begun or step.done <= self.done:
            self._begun = time.monotonic()
            self.seconds_left = None
        elif step.done > 1:
            each = (time.monotonic() - self._begun) / (step.done - 1)
            self.seconds_left = each * (step.total - step.done)
        self.done, self.total, self.phase = step.done, step.total, step.phase
        self.preview = step.preview or self.preview
        self.changed()


class Studio:
    """Paints for a host. Whoever comes while a picture is painted waits for it."""

    def __init__(self) -> None:
        self._easel = asyncio.Lock()

    async def paint(
        self, session: Session, request: PictureRequest, work: Work, model: str = ""
    ) -> AsyncGenerator[Progress | Picture, None]:
        """Wait for the turn, open the model, paint. Closing it, or cancelling its task, stops within a step."""
        try:
            async with self._easel:
                work.become("opening")
                async with aclosing(session.host.engines.ready(session, "image", model=model)) as news:
                    async for progress in news:
                        work.note = progress.label
                        work.become("opening")
                        yield progress
                painter = session.host.engines.current("image")
                if painter is None:
                    raise EngineError("The model that paints was closed; try again.")
                work.note = ""
                work.become("painting")
                async with aclosing(painter.paint(request)) as steps:
                    async for step in steps:
                        if isinstance(step, PictureStep):
                            work.step(step)
                            yield Progress("Painting", step.done, step.total, "steps")
                        else:
                            yield step
                work.become("done")
        except (asyncio.CancelledError, GeneratorExit):
            work.become("stopped")
            raise
        except BaseException:
            work.become("failed")
            raise


_STUDIOS: WeakKeyDictionary[Host, Studio] = WeakKeyDictionary()


def under_way(number: object) -> Work | None:
    """The work of that number, None when it is over."""
    work = Work.numbered(number)
    return work if work is not None and work.state in ("waiting", "opening", "painting") else None


def studio(host: Host) -> Studio:
    """The studio of this host."""
    return _STUDIOS.setdefault(host, Studio())


def shown(work: Work, model: str) -> Data:
    """The part by which the terminal chat shows the work; elsewhere it is a line."""
    return Data(PART, work.number, f"Painting {work.prompt!r} with {model}.")


def kept_preview(host: Host, request: PictureRequest, work: Work, model: str) -> Media | None:
    """Keep how a stopped picture looked last; None when nothing was to be seen yet."""
    if work.preview is None:
        return None
    facts = {"prompt": request.prompt, "seed": request.seed, "model": model, "steps": work.total, "stopped": work.done}
    return media(keep(host, with_facts(work.preview, facts), facts), facts)


def seeds(request: PictureRequest, count: int) -> list[PictureRequest]:
    """The same request `count` times, each with the next seed."""
    return [replace(request, seed=request.seed + number) for number in range(count)]
