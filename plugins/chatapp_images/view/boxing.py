"""Choosing a box on a picture: what is in it is painted anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, NamedTuple, TypeAlias

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.strip import Strip
from textual.widgets import Static

from chatapp import Session, UsageError, one_line
from chatapp_images.view.canvas import Canvas
from chatapp_images.view.making import Drawn, Wish
from chatapp_images.view.pixels import Dimensions
from chatapp_images.view.reach import ask_screen

LEAST = 2
"""Cells that a box has each way at least."""
OUTSIDE = 0.35
"""How bright what is outside the box stays."""
FRAME = Color.from_rgb(255, 215, 95)
"""The frame stands on darkened pixels in light themes too."""
HINT = "arrows move · Shift+arrows or + - resize · Enter takes it · Esc gives up"
Pixels: TypeAlias = tuple[int, int, int, int]
_ARROWS = (("left", -1, 0), ("right", 1, 0), ("up", 0, -1), ("down", 0, 1))


class Box(NamedTuple):
    """A box in cells; `right` and `bottom` are the first that are not in it."""

    left: int
    top: int
    right: int
    bottom: int

    def moved(self, x: int, y: int, columns: int, rows: int) -> Box:
        """As large as before, within so many columns and rows."""
        x = min(max(x, -self.left), columns - self.right)
        y = min(max(y, -self.top), rows - self.bottom)
        return Box(self.left + x, self.top + y, self.right + x, self.bottom + y)

    def grown(self, x: int, y: int, columns: int, rows: int) -> Box:
        """Its right and lower edges moved; at the picture's edge the others move, at its smallest none."""
        width = min(max(self.right - self.left + x, LEAST), columns)
        height = min(max(self.bottom - self.top + y, LEAST), rows)
        left, top = min(self.left, columns - width), min(self.top, rows - height)
        return Box(left, top, left + width, top + height)

    def scaled(self, before: tuple[int, int], now: tuple[int, int]) -> Box:
        """The same box on a picture that takes other (columns, rows) now."""
        x, y = now[0] / before[0], now[1] / before[1]
        box = Box(round(self.left * x), round(self.top * y), round(self.right * x), round(self.bottom * y))
        return box.grown(0, 0, *now)

    def pixels(self, cells: tuple[int, int], size: tuple[int, int]) -> Pixels:
        """(left, top, right, bottom) in pixels of a picture of `size` drawn in so many cells."""
        x, y = size[0] / cells[0], size[1] / cells[1]
        return round(self.left * x), round(self.top * y), round(self.right * x), round(self.bottom * y)


class BoxCanvas(Canvas):
    """A picture in half blocks with a box on it; what is outside is darker."""

    class Ready(Message):
        """The picture is shown, with a box on it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, display="halfblock")
        self.box = Box(0, 0, 1, 1)
        self.cells: tuple[int, int] | None = None

    def put(self, box: Box) -> None:
        """Show another box."""
        self.box = box
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The line with the box on it."""
        strip = super().render_line(y)
        if self.cells is None or self.problem:
            return strip
        left = (self.content_size.width - self.cells[0]) // 2
        row = y - (self.content_size.height - self.cells[1]) // 2
        if left < 0 or not 0 <= row < self.cells[1]:
            return strip
        before, picture, after = strip.divide([left, left + self.cells[0], strip.cell_length])
        return Strip.join([before, Strip(_boxed(picture, self.box, row), self.cells[0]), after])

    def _take(self, wish: Wish, drawn: Drawn) -> None:
        now = (wish.columns, wish.rows)
        if self.cells is None:
            width, height = max(LEAST, now[0] // 2), max(LEAST, now[1] // 2)
            first = Box(0, 0, width, height).grown(0, 0, *now)
            self.box = first.moved((now[0] - width) // 2, (now[1] - height) // 2, *now)
        else:
            self.box = self.box.scaled(self.cells, now)
        self.cells = now
        super()._take(wish, drawn)
        self.post_message(self.Ready())


def _boxed(strip: Strip, box: Box, row: int) -> Iterator[Segment]:
    """The cells of one line: the frame, what is in it as it is, the rest darker."""
    cells = ((letter, segment.style or Style()) for segment in strip for letter in segment.text)
    inside = box.top <= row < box.bottom
    edge = row in (box.top, box.bottom - 1)
    for column, (letter, style) in enumerate(cells):
        if not inside or not box.left <= column < box.right:
            yield Segment(letter, _darker(style))
        elif edge or column in (box.left, box.right - 1):
            yield Segment(_frame(box, row, column), Style(color=FRAME, bgcolor=_dark(style.bgcolor), bold=True))
        else:
            yield Segment(letter, style)


def _frame(box: Box, row: int, column: int) -> str:
    corners = {
        (box.top, box.left): "┏",
        (box.top, box.right - 1): "┓",
        (box.bottom - 1, box.left): "┗",
        (box.bottom - 1, box.right - 1): "┛",
    }
    return corners.get((row, column)) or ("━" if row in (box.top, box.bottom - 1) else "┃")


def _darker(style: Style) -> Style:
    return Style(color=_dark(style.color), bgcolor=_dark(style.bgcolor))


def _dark(colour: Color | None) -> Color | None:
    if colour is None or colour.triplet is None:
        return colour
    return Color.from_rgb(*(int(value * OUTSIDE) for value in colour.triplet))


class BoxScreen(Screen[Pixels | None]):
    """Gives (left, top, right, bottom) in the picture's pixels, `right` and `bottom` not in the box, or None."""

    AUTO_FOCUS = ""
    DEFAULT_CSS = """
    BoxScreen #boxing { height: 1fr; border: round $primary; border-title-color: $primary; padding: 0; }
    BoxScreen BoxCanvas { width: 1fr; height: 1fr; }
    BoxScreen .line { height: 1; padding: 0 2; text-wrap: nowrap; text-overflow: ellipsis; }
    BoxScreen #box-hint { color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(name, f"move({x}, {y})", show=False) for name, x, y in _ARROWS),
        *(Binding(f"shift+{name}", f"grow({x}, {y})", show=False) for name, x, y in _ARROWS),
        Binding("plus,equals_sign", "grow(2, 1)", show=False),
        Binding("minus", "grow(-2, -1)", show=False),
        Binding("enter", "take", show=False),
        Binding("escape,q", "give_up", show=False),
    ]

    def __init__(self, path: Path, question: str = "What should be painted anew?") -> None:
        super().__init__()
        self._path, self._question = path, question

    def compose(self) -> ComposeResult:
        """The picture, what the box is, keys."""
        with Vertical(id="boxing") as frame:
            frame.border_title = Content(one_line(self._question, 70))
            yield BoxCanvas(self._path)
        yield Static(id="box-about", classes="line")
        yield Static(HINT, id="box-hint", classes="line")

    @property
    def canvas(self) -> BoxCanvas:
        """The picture with the box."""
        return self.query_one(BoxCanvas)

    @property
    def pixels(self) -> Pixels | None:
        """The box in pixels, None before the picture is there."""
        canvas = self.canvas
        if canvas.cells is None or canvas.dimensions is None or canvas.problem:
            return None
        return canvas.box.pixels(canvas.cells, canvas.dimensions)

    def on_canvas_failed(self) -> None:
        """The picture cannot be shown, so Enter has nothing to take."""
        self.query_one("#box-about", Static).update("Esc goes back.")

    def on_box_canvas_ready(self) -> None:
        """Say what the first box is."""
        self._tell()

    def action_move(self, x: int, y: int) -> None:
        """Move the box by so many cells."""
        if self.canvas.cells is not None:
            self.canvas.put(self.canvas.box.moved(x, y, *self.canvas.cells))
            self._tell()

    def action_grow(self, x: int, y: int) -> None:
        """Make it larger or smaller."""
        if self.canvas.cells is not None:
            self.canvas.put(self.canvas.box.grown(x, y, *self.canvas.cells))
            self._tell()

    def action_take(self) -> None:
        """This box."""
        if self.pixels is not None:
            self.dismiss(self.pixels)

    def action_give_up(self) -> None:
        """No box."""
        self.dismiss(None)

    def _tell(self) -> None:
        pixels, size = self.pixels, self.canvas.dimensions or Dimensions(0, 0)
        if pixels is not None:
            left, top, right, bottom = pixels
            about = f"{right - left}×{bottom - top} of {size.width}×{size.height} pixels, from {left},{top}"
            self.query_one("#box-about", Static).update(f"{about} to {right},{bottom}")


async def choose_box(session: Session, path: Path) -> Pixels | None:
    """Let the user choose a box on a picture; None when given up. Raises UsageError outside the terminal chat."""
    if not path.is_file():
        raise UsageError(f"{path} is gone; choose another picture.")
    return await ask_screen(lambda: BoxScreen(path))
