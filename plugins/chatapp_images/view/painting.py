"""A picture that is being painted: how it looks so far, and how far it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from chatapp import one_line, visible
from chatapp_images.options import Display
from chatapp_images.view import reach
from chatapp_images.view.canvas import Canvas
from chatapp_images.view.picture import rows_for

WIDTH = 24
"""Cells of the bar."""


class Painting(Protocol):
    """What a `PaintingView` looks at; `preview` is a PNG, `seconds_left` None while nothing can be said of it."""

    prompt: str
    state: Literal["waiting", "opening", "painting", "done", "stopped", "failed"]
    done: int
    total: int
    phase: Literal["forward", "reverse"]
    preview: bytes | None
    seconds_left: float | None
    note: str

    def watch(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call back on the event loop after every change, until what this returns is called."""
        ...


class PaintingView(Vertical):
    """Goes away by itself when the painting has come to an end: the picture is shown as a message of its own."""

    DEFAULT_CSS = """
    PaintingView { height: auto; width: 1fr; }
    PaintingView Static { height: auto; }
    """

    def __init__(self, painting: Painting) -> None:
        super().__init__()
        self._painting = painting
        self._forget: Callable[[], None] = lambda: None

    def compose(self) -> ComposeResult:
        """The preview, then one line."""
        display: Display = reach.display_of(self.app)
        if display != "off":
            canvas = Canvas(display=display, most_rows=rows_for)
            canvas.display = False
            yield canvas
        yield Static(classes="progress")

    def on_mount(self) -> None:
        """Look at it from now on."""
        self._forget = self._painting.watch(self._changed)
        self._changed()

    def on_unmount(self) -> None:
        """Look away."""
        self._forget()

    def _changed(self) -> None:
        if not self.is_attached:
            return
        painting = self._painting
        if painting.state in ("done", "stopped", "failed"):
            self._forget()
            self.remove()
            return
        self.query_one(".progress", Static).update(progress(painting))
        for canvas in self.query(Canvas):
            canvas.display = painting.preview is not None
            canvas.show(painting.preview)


def progress(painting: Painting) -> Content:
    """The prompt, a bar, and what is being done in words."""
    done, total = painting.done, max(painting.total, 1)
    full = min(WIDTH, round(WIDTH * done / total)) if painting.state == "painting" else 0
    bar = [("━" * full, "$primary"), ("━" * (WIDTH - full), "$border-blurred"), ("  ", "")]
    note = f" · {visible(one_line(painting.note, 80))}" if painting.note else ""
    heading = (f"{one_line(painting.prompt, 60)}{note}\n", "")
    return Content.assemble(heading, *bar, (words(painting), "dim"))


def words(painting: Painting) -> str:
    """``step 8 of 20 · 0.6 s left · Esc stops``."""
    said = {
        "waiting": "waiting for its turn",
        "opening": "opening the model",
        "painting": f"step {painting.done} of {painting.total}",
    }.get(painting.state, painting.state)
    if painting.state == "painting" and painting.phase == "forward":
        said = f"dissolving into noise {painting.done} of {painting.total}"
    left = painting.seconds_left
    found = [said, f"{_time(left)} left" if left is not None and painting.state == "painting" else "", "Esc stops"]
    return " · ".join(filter(None, found))


def _time(seconds: float) -> str:
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
