"""A picture as cells of the terminal: read and scaled off the event loop when it comes into sight, and only then."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from textual.content import Content
from textual.dom import NoScreen
from textual.errors import NoWidget
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from chatapp import UsageError, visible
from chatapp_images.options import Display
from chatapp_images.view.drawing import Cell, Protocol, choose, terminal
from chatapp_images.view.making import Drawn, Wish, draw, in_thread
from chatapp_images.view.pixels import Dimensions, Source, dimensions, fit

USUAL_CELL = Cell(10, 20)
"""Pixels of a cell where the terminal does not tell."""
MOST_KEPT = 60_000
"""Cells kept drawn in all; those beyond, when out of sight, are drawn anew when they come back."""


class Canvas(Widget):
    """One picture, as large as fits and in the middle of what it has; where it cannot be shown, the sentence why.

    Laid out with `auto` sizes it takes up to `most_rows(height of the screen)` rows. `size` in pixels, where it is
    known, spares a look at the file for that.
    """

    ALLOW_SELECT = False
    DEFAULT_CSS = "Canvas { width: auto; height: auto; max-width: 100%; }"

    class Failed(Message):
        """The picture cannot be shown."""

        def __init__(self, canvas: Canvas) -> None:
            self.canvas = canvas
            super().__init__()

    def __init__(
        self,
        source: Source | None = None,
        *,
        display: Display = "auto",
        size: Dimensions | None = None,
        most_rows: Callable[[int], int] = lambda height: height,
        classes: str = "",
    ) -> None:
        super().__init__(classes=classes)
        self.problem = ""
        self.source = source
        self.dimensions = size
        self._display = display
        self._most_rows = most_rows
        self._protocol: Protocol = "halfblock"
        self._cell: Cell | None = None
        self._wish: Wish | None = None
        self._drawn: Drawn | None = None
        self._busy = False

    def on_mount(self) -> None:
        """See what the terminal can do."""
        truecolor = self.app.console.color_system == "truecolor"
        known = terminal(truecolor=truecolor, headless=self.app.is_headless)
        self._protocol, self._cell = choose(self._display, known), known.cell
        if self.dimensions is None:
            self._begin()

    def on_unmount(self) -> None:
        """Give back what the terminal and the list of drawn ones hold."""
        self._let_go(self._drawn)
        self._drawn = None
        _kept.pop(self, None)

    def on_resize(self) -> None:
        """The terminal's letters may have another size now."""
        if self._protocol != "halfblock":
            known = terminal(truecolor=True)
            self._cell = known.cell

    def show(self, source: Source | None, size: Dimensions | None = None) -> None:
        """Show another picture; the one before stays until it is drawn."""
        if source != self.source:
            self.source, self.problem = source, ""
            self.dimensions = size or (self.dimensions if isinstance(source, bytes) else None)
            self.refresh(layout=True)
            self._begin()

    def fitting(self, columns: int, rows: int) -> tuple[int, int]:
        """(columns, rows) that the picture takes of these."""
        aspect = self._cell.height / self._cell.width if self._cell and self._protocol != "halfblock" else 2.0
        if self._protocol == "kitty":
            from chatapp_images.view.kitty import most

            columns, rows = min(columns, most()), min(rows, most())
        return fit(self.dimensions or (1, 1), columns, rows, aspect)

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """As wide as it is tall enough."""
        if self.problem:
            return super().get_content_width(container, viewport)
        return self.fitting(container.width, self._most_rows(viewport.height))[0] if self.dimensions else 0

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """In the picture's own shape."""
        if self.problem:
            return super().get_content_height(container, viewport, width)
        return self.fitting(width, self._most_rows(viewport.height))[1] if self.dimensions else 1

    def render(self) -> Content:
        """The sentence in place of a picture."""
        return Content(visible(self.problem))

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lines that are there; what is not yet is begun now, since now it is seen."""
        self._begin()
        if self in _kept:
            _kept.move_to_end(self)
        if self._protocol == "sixel" and not self.problem:
            # Past Textual's own cache of lines, which would measure and cut what is no text.
            active = self.screen.is_active
            return [self.render_line(y) if active else Strip.blank(crop.width) for y in range(crop.y, crop.bottom)]
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """A line of the picture, in the middle of the width there is."""
        if self.problem:
            return super().render_line(y)
        width, height = self.content_size
        style = self.rich_style
        lines = self._drawn.lines if self._drawn is not None else []
        place = y - (height - len(lines)) // 2
        if not 0 <= place < len(lines):
            return Strip.blank(width, style)
        spare = width - lines[place].cell_length
        if spare < 0:
            # The widget has become smaller, and the lines that fit are on their way.
            return lines[place].crop(0, width)
        pieces = (Strip.blank(spare // 2, style), lines[place], Strip.blank(spare - spare // 2, style))
        return Strip.join([piece for piece in pieces if piece.cell_length])

    def forget(self) -> None:
        """Drop the lines; they are drawn anew when they are seen again."""
        self._let_go(self._drawn)
        self._wish = self._drawn = None
        self.refresh()

    def _wished(self) -> Wish | None:
        """What should be on the screen now; None where it is, or where there is no room for it."""
        if self.source is None or self.problem or not self.is_attached or not self.content_size.area:
            return None
        columns, rows = self.fitting(*self.content_size)
        background = self.background_colors[1].rgb
        return Wish(self.source, columns, rows, background, self._protocol, self._cell or USUAL_CELL)

    def _begin(self) -> None:
        unknown = self.dimensions is None and self.source is not None and not self.problem
        wish = self._wished()
        if not self._busy and self.is_attached and (unknown or (wish is not None and wish != self._wish)):
            self._busy = True
            self.run_worker(self._work(), group="draw")

    async def _work(self) -> None:
        """Draw until what is wished for is there: it may change meanwhile."""
        try:
            while (source := self.source) is not None and self.is_attached:
                try:
                    if not await self._step(source):
                        return
                except UsageError as error:
                    if source == self.source:
                        self._fail(str(error))
                        return
        finally:
            self._busy = False

    async def _step(self, source: Source) -> bool:
        """One look at the file or one drawing of it; whether there may be more to do."""
        if self.dimensions is None:
            found = await in_thread(dimensions, source)
            if source != self.source:
                return True
            # Laid out, it is drawn if it is seen.
            self.dimensions = found
            self.refresh(layout=True)
            return False
        wish = self._wished()
        if wish is None or wish == self._wish:
            return False
        self._take(wish, await in_thread(draw, wish))
        return True

    def _take(self, wish: Wish, drawn: Drawn) -> None:
        if not self.is_attached:
            return
        if drawn.dimensions != self.dimensions and wish.source == self.source:
            self.dimensions = drawn.dimensions
            self.refresh(layout=True)
        self._write(drawn.before)
        self.call_after_refresh(self._let_go, self._drawn)
        self._wish, self._drawn = wish, drawn
        _keep(self, wish.columns * wish.rows)
        self.refresh()

    def _fail(self, sentence: str) -> None:
        self.problem = sentence
        self._let_go(self._drawn)
        self._drawn = self._wish = None
        if self.is_attached:
            self.refresh(layout=True)
            self.post_message(self.Failed(self))

    def _let_go(self, drawn: Drawn | None) -> None:
        if drawn is not None and drawn.after:
            self._write(drawn.after)

    def _write(self, sequence: str) -> None:
        driver = self.app._driver
        if sequence and driver is not None and not self.app.is_headless:
            driver.write(sequence)


_kept: OrderedDict[Canvas, int] = OrderedDict()
"""Those with lines and how many cells they are, those seen longest ago first."""


def _keep(canvas: Canvas, cells: int) -> None:
    """Remember that this one is drawn, and have those forget their lines that are too many and out of sight."""
    _kept[canvas] = cells
    _kept.move_to_end(canvas)
    spare = sum(_kept.values()) - MOST_KEPT
    for each in list(_kept):
        if spare <= 0:
            break
        if each is not canvas and not _in_sight(each):
            spare -= _kept.pop(each)
            each.forget()


def _in_sight(canvas: Canvas) -> bool:
    """Whether any of it is within what its screen shows."""
    try:
        return bool(canvas.screen.find_widget(canvas).visible_region.area)
    except (NoScreen, NoWidget):
        return False
