"""One picture of the gallery, as large as the screen, with all that is known of it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import Static

from chatapp import one_line, visible
from chatapp_images.view import reach
from chatapp_images.view.canvas import Canvas
from chatapp_images.view.handling import PictureScreen, binding, when
from chatapp_images.view.words import table

WIDE = 100
"""Columns from which on the facts stand beside the picture, each on a line of its own."""
HINT = "← → others · o open · s save as · c copy path · r again · Esc back"


class LargeScreen(PictureScreen):
    """Shows `pictures[place]`; `place` moves with the arrow keys."""

    DEFAULT_CSS = """
    LargeScreen #large { height: 1fr; border: round $primary; border-title-color: $primary; padding: 0 1;
        layout: vertical; }
    LargeScreen.-wide #large { layout: horizontal; }
    LargeScreen Canvas { width: 1fr; height: 1fr; }
    LargeScreen #facts { width: 1fr; height: auto; max-height: 6; scrollbar-size-vertical: 1; }
    LargeScreen.-wide #facts { width: 40; height: 1fr; max-height: 100%; padding: 0 0 0 2; }
    LargeScreen #facts Static { height: auto; }
    LargeScreen #large-hint { height: 1; color: $text-muted; padding: 0 2; text-wrap: nowrap; text-overflow: ellipsis; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        binding("left,up,pageup", "step(-1)", "before", "The picture before."),
        binding("right,down,pagedown,space", "step(1)", "next", "The next picture."),
        binding("enter,q", "back", "back", "Back to all of them."),
    ]

    def compose(self) -> ComposeResult:
        """Picture, facts, keys."""
        with Container(id="large"):
            display = reach.display_of(self.app)
            yield Canvas(display="halfblock" if display == "off" else display)
            with VerticalScroll(id="facts", can_focus=False):
                yield Static()
        yield Static(HINT, id="large-hint")

    def on_resize(self) -> None:
        """The facts may go to the other place."""
        self._show()

    def action_step(self, by: int) -> None:
        """Another picture; there is nothing beyond the last."""
        self.place = min(max(self.place + by, 0), len(self._shown) - 1)
        self._show()

    def _show(self) -> None:
        kept = self._shown[self.place]
        box = self.query_one("#large", Container)
        box.border_title = Content(one_line(str(kept.facts.get("prompt") or kept.path.name), 60))
        box.border_subtitle = f"{self.place + 1} of {len(self._shown)}"
        self.query_one(Canvas).show(kept.path)
        rows = [*table(kept.facts), ("painted", when(kept.modified)), ("file", visible(str(kept.path)))]
        end = "\n" if self.app.size.width >= WIDE else " · "
        facts = Content(end).join(Content.assemble((f"{name} ", "dim"), value) for name, value in rows)
        self.query_one("#facts Static", Static).update(facts)
