"""A training that goes on: how far it is, how long it takes, its losses as a curve, and pausing it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Static

from chatapp import Data, human_bytes, one_line, visible
from chatapp_lora.learning import under_way
from chatapp_lora.lesson import Lesson, best_of, human_time
from chatapp_lora.view.curve import COLOURS, curve

BAR = 32
"""Cells of the bar."""
LOWEST, HIGHEST = 7, 14
"""Rows of the curve: a third of the screen, between these."""
TICK = 1.0
"""Seconds after which it is looked again whether an answer streams, of which a lesson is not told."""


def widget_for(part: Data) -> TrainingView | None:
    """The widget for a training that goes on; None when it is over."""
    lesson = under_way(part.value)
    return TrainingView(lesson) if lesson is not None else None


class TrainingView(Vertical, can_focus=True):
    """Stays when the training has come to an end, with its curve."""

    DEFAULT_CSS = """
    TrainingView { height: auto; width: 1fr; background: $surface; padding: 0 1; margin: 0 0 1 0; }
    TrainingView:focus-within, TrainingView:focus { background-tint: $foreground 4%; }
    TrainingView Static { height: auto; }
    TrainingView Horizontal { height: 1; }
    TrainingView Button { margin: 0 2 0 0; width: auto; min-width: 0; background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,p", "pause", "pause", tooltip="Pause the training, or let it go on.", id="training.pause"),
    ]

    def __init__(self, lesson: Lesson) -> None:
        super().__init__()
        self._lesson = lesson
        self._forget: Callable[[], None] = lambda: None

    def compose(self) -> ComposeResult:
        """What it is, the bar, the curve, the buttons."""
        yield Static(id="what")
        yield Static(id="far")
        yield curve()
        yield Static(id="losses")
        with Horizontal():
            yield Button("Pause (p)", id="pause", compact=True)
            yield Button("Stop (Esc)", id="stop", compact=True)

    def on_mount(self) -> None:
        """Look at it from now on."""
        self._forget = self._lesson.watch(self._changed)
        self._clock = self.set_interval(TICK, self._changed)
        self.on_resize()
        self._changed()

    def on_unmount(self) -> None:
        """Look away."""
        self._forget()

    def on_resize(self) -> None:
        """The curve takes its share of the screen."""
        self._curve.styles.height = min(max(self.app.size.height // 3, LOWEST), HIGHEST)

    @property
    def _curve(self) -> Any:
        return self.children[2]

    @on(Button.Pressed, "#pause")
    def action_pause(self) -> None:
        """Pause, or go on."""
        if not self._lesson.over:
            self._lesson.pause()

    @on(Button.Pressed, "#stop")
    async def _stop(self) -> None:
        # As the key does: what else it would stop first is stopped first by it too.
        await self.run_action("screen.stop")

    def _changed(self) -> None:
        if not self.is_attached:
            return
        lesson = self._lesson
        self.query_one("#what", Static).update(heading(lesson))
        self.query_one("#far", Static).update(bar(lesson))
        self.query_one("#losses", Static).update(legend(lesson))
        self.query_one("#losses", Static).display = bool(lesson.steps)
        self._curve.display = bool(lesson.steps)
        self._curve.draw(lesson.losses, lesson.held_out, lesson.total)
        self.query_one("#pause", Button).label = "Go on (p)" if lesson.pausing else "Pause (p)"
        self.query_one(Horizontal).display = not lesson.over
        if lesson.over:
            self._forget()
            self._clock.stop()


def heading(lesson: Lesson) -> Content:
    """What is being trained, and what it is doing now in words."""
    return Content.assemble((visible(lesson.name), "bold"), "  ", (state(lesson), "$text-muted"))


def state(lesson: Lesson) -> str:
    """``step 12 of 40``, ``paused while the model answers``."""
    at = f"step {lesson.done} of {lesson.total}"
    said = {
        "preparing": one_line(visible(lesson.note), 60) or "preparing",
        "training": at,
        "paused": f"paused at {at}",
        "done": f"done: {lesson.done} steps",
        "stopped": f"stopped at {at}: /lora train {lesson.name} goes on",
        "failed": f"failed at {at}: /lora train {lesson.name} tries to go on",
    }[lesson.state]
    if lesson.over or lesson.state == "paused":
        return said
    if lesson.pausing:
        return f"{said} · pausing"
    return f"{said} · paused while the model answers" if lesson.waits() else said


def bar(lesson: Lesson) -> Content:
    """A bar, and what it costs: time left, seconds a step, memory."""
    preparing = lesson.state == "preparing"
    share = lesson.share if preparing else lesson.done / max(lesson.total, 1)
    full = min(BAR, round(BAR * share))
    each = lesson.seconds_a_step
    said = [
        f"{human_time(lesson.seconds_left)} left" if lesson.state == "training" and each is not None else "",
        f"{each:.1f} s a step" if each is not None else "",
        human_bytes(lesson.memory) if lesson.memory else "",
    ]
    colour = "$primary" if lesson.state in ("training", "preparing") else "$foreground-muted"
    pieces = [("━" * full, colour), ("━" * (BAR - full), "$border-blurred"), ("  ", "")]
    return Content.assemble(*pieces, (" · ".join(filter(None, said)), "dim"))


def legend(lesson: Lesson) -> Content:
    """The losses in their colours: now, and the best on what was held out."""
    loss, held_out = lesson.losses, lesson.held_out
    pieces = [(f"━ loss {loss[-1][1]:.3f}", f"${COLOURS[0]}")] if loss else []
    if held_out:
        best = best_of(held_out)
        kept = f", best {best[1]:.3f} at step {best[0]}" if best is not None and best != held_out[-1] else ""
        pieces += [("    ", ""), (f"● held out {held_out[-1][1]:.3f}{kept}", f"${COLOURS[1]}")]
    return Content.assemble(*pieces)
