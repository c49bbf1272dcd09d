"""All pictures that were kept, as a page of small ones: as many widgets as fit, however many pictures there are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Grid, Vertical
from textual.content import Content
from textual.events import Click, Resize
from textual.widgets import Input, Static

from chatapp import ChatappError, one_line, visible
from chatapp_images.view import reach
from chatapp_images.view.canvas import Canvas
from chatapp_images.view.handling import Kept, PictureScreen, binding, matching, when
from chatapp_images.view.large import LargeScreen
from chatapp_images.view.trash import clean, discard, restore
from chatapp_images.view.words import caption

SMALL, LARGE = 8, 10
"""Lines of a small picture, on a short screen and on a tall one."""
TALL = 30
HINT = "Enter larger · o open · s save · c copy path · r again · d delete · / find"


class Tile(Vertical):
    """A small picture and the beginning of its prompt."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place

    def compose(self) -> ComposeResult:
        """Always in half blocks: so small, nothing is gained by more."""
        yield Canvas(display="halfblock")
        yield Static(classes="name")

    def show(self, kept: Kept | None, chosen: bool) -> None:
        """Take on another picture, or none."""
        self.visible = kept is not None
        self.set_class(chosen, "-chosen")
        self.query_one(Canvas).show(kept.path if kept is not None else None)
        name = str(kept.facts.get("prompt") or kept.path.stem) if kept is not None else ""
        self.query_one(Static).update(Content(one_line(name, max(self.size.width - 2, 8))))


class GalleryScreen(PictureScreen):
    """Gives the line `/image --like "PATH"` where a picture is wanted again. `listing` blocks while it looks."""

    DEFAULT_CSS = """
    GalleryScreen #gallery { height: 1fr; border: round $primary; border-title-color: $primary;
        border-subtitle-color: $text-muted; padding: 0 1; }
    GalleryScreen #find { height: 1; border: none; padding: 0; display: none; background: $surface; }
    GalleryScreen #tiles { height: 1fr; }
    GalleryScreen Tile { padding: 0 1; height: auto; }
    GalleryScreen Tile.-chosen { background: $primary 30%; }
    GalleryScreen Tile Canvas { width: 1fr; height: 8; }
    GalleryScreen.-tall Tile Canvas { height: 10; }
    GalleryScreen .name { height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis;
        text-align: center; width: 1fr; }
    GalleryScreen Tile.-chosen .name { color: $foreground; text-style: bold; }
    GalleryScreen #none { color: $text-muted; padding: 1 2; display: none; height: 1fr; }
    GalleryScreen #about, GalleryScreen #gallery-hint { height: 1; padding: 0 2; text-wrap: nowrap;
        text-overflow: ellipsis; }
    GalleryScreen #gallery-hint { color: $text-muted; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        binding("left", "move(-1)", "before", "The picture before."),
        binding("right", "move(1)", "next", "The next picture."),
        binding("up", "row(-1)", "above", "The picture above."),
        binding("down", "row(1)", "below", "The picture below."),
        binding("pageup", "page(-1)", "page up", "The page before."),
        binding("pagedown", "page(1)", "page down", "The next page."),
        binding("home", "jump(0)", "newest", "The newest picture."),
        binding("end", "jump(-1)", "oldest", "The oldest picture."),
        binding("enter", "larger", "larger", "Show it larger, with all that is known of it."),
        binding("d,delete", "delete", "delete", "Delete it; u brings it back."),
        binding("u,ctrl+z", "undo", "undo", "Bring back what was deleted last."),
        binding("slash", "find", "find", "Find pictures by the words of their prompts."),
    ]

    def __init__(self, listing: Callable[[], Sequence[Kept]], chosen: Path | None = None) -> None:
        super().__init__()
        self._listing = listing
        self._wanted = chosen
        self._all: list[Kept] = []
        self._deleted: list[tuple[Path, Path]] = []
        self._columns = self._rows = 1

    def compose(self) -> ComposeResult:
        """What is looked for, the pictures, what is known of one, keys."""
        with Vertical(id="gallery") as box:
            box.border_title = "Pictures"
            yield Input(id="find", placeholder="Words of the prompt", compact=True)
            yield Grid(id="tiles")
            yield Static(id="none")
        yield Static(id="about")
        yield Static(HINT, id="gallery-hint")

    def on_mount(self) -> None:
        """Look what there is."""
        self.run_worker(self.look(), group="look")

    async def look(self) -> None:
        """Read the list anew."""
        try:
            self._all = list(await asyncio.to_thread(self._listing))
        except ChatappError as error:
            reach.session_of(self.app).ui.notify(str(error), "error")
        for folder in {each.path.parent for each in self._all}:
            await asyncio.to_thread(clean, folder)
        self._filter()

    @on(Resize)
    async def _lay_out(self) -> None:
        """As many tiles as fit."""
        height = LARGE if self.size.height >= TALL else SMALL
        grid = self.query_one("#tiles", Grid)
        width, room = self.size.width - 4, self.size.height - 4
        self._columns, self._rows = max(1, width // (2 * height + 3)), max(1, room // (height + 2))
        grid.styles.grid_size_columns, grid.styles.grid_size_rows = self._columns, self._rows
        count = self._columns * self._rows
        tiles = list(grid.query_children(Tile))
        await grid.remove_children(tiles[count:])
        await grid.mount_all(Tile(place) for place in range(len(tiles), count))
        self.call_after_refresh(self._show)

    def _filter(self) -> None:
        words = self.query_one("#find", Input).value
        self._shown = matching(self._all, words)
        places = [place for place, each in enumerate(self._shown) if each.path == self._wanted]
        self.place = places[0] if places else min(self.place, max(len(self._shown) - 1, 0))
        none = self.query_one("#none", Static)
        none.update(Content(f"No prompt has “{visible(words)}” in it." if words else "There are no pictures yet."))
        none.display, self.query_one("#tiles").display = not self._shown, bool(self._shown)
        self._show()

    def _show(self) -> None:
        """Bring tiles and words up to date."""
        tiles = list(self.query(Tile))
        count = max(len(tiles), 1)
        first = self.place // count * count
        for number, tile in enumerate(tiles):
            place = first + number
            tile.show(self._shown[place] if place < len(self._shown) else None, place == self.place)
        pages = -(-len(self._shown) // count)
        box = self.query_one("#gallery", Vertical)
        box.border_subtitle = (
            f"{len(self._shown)} · page {first // count + 1} of {pages} · Esc back" if self._shown else ""
        )
        kept = self.chosen
        about = f"{caption(kept.facts, kept.path.name, 48)} · {when(kept.modified)}" if kept is not None else ""
        self.query_one("#about", Static).update(Content(about))

    def action_move(self, by: int) -> None:
        """Another picture."""
        self.action_jump(min(max(self.place + by, 0), max(len(self._shown) - 1, 0)))

    def action_row(self, by: int) -> None:
        """The one above or below, where there is one."""
        place = self.place + by * self._columns
        if 0 <= place < len(self._shown):
            self.action_jump(place)

    def action_page(self, by: int) -> None:
        """A page on or back."""
        self.action_move(by * self._columns * self._rows)

    def action_jump(self, place: int) -> None:
        """To one of them; -1 is the last."""
        if self._shown:
            self.place = place % len(self._shown)
            self._wanted = None
            self._show()

    @on(Click)
    def _clicked(self, event: Click) -> None:
        tile = next((each for each in self.query(Tile) if event.widget in each.walk_children(with_self=True)), None)
        if tile is not None:
            count = self._columns * self._rows
            place = self.place // count * count + tile.place
            self.action_larger() if place == self.place else self.action_move(place - self.place)

    def action_larger(self) -> None:
        """Show it larger."""
        if self.chosen is not None:
            screen = LargeScreen(self._shown, self.place)
            self.app.push_screen(screen, lambda line: self._back_from(screen, line))

    def _back_from(self, screen: LargeScreen, line: str | None) -> None:
        self.action_jump(screen.place)
        if line is not None:
            self.dismiss(line)

    def action_delete(self) -> None:
        """Delete at once: undo brings it back."""
        if self.chosen is not None:
            self.run_worker(reach.tell(self.app, self._delete(self.chosen)), group="delete")

    async def _delete(self, kept: Kept) -> None:
        self._deleted.append((await asyncio.to_thread(discard, kept.path), kept.path))
        reach.session_of(self.app).ui.notify("Deleted; u brings it back.")
        await self.look()

    def action_undo(self) -> None:
        """Bring back what was deleted last."""
        self.run_worker(reach.tell(self.app, self._undo()), group="delete")

    async def _undo(self) -> None:
        if not self._deleted:
            reach.session_of(self.app).ui.notify("Nothing was deleted here.")
            return
        where, self._wanted = self._deleted[-1]
        await asyncio.to_thread(restore, where, self._wanted)
        self._deleted.pop()
        await self.look()

    def action_find(self) -> None:
        """Type words."""
        line = self.query_one("#find", Input)
        line.display = True
        line.focus()

    def action_back(self) -> None:
        """First out of the search, then back to the chat."""
        line = self.query_one("#find", Input)
        if not line.display:
            self.dismiss(None)
            return
        line.value = ""
        self._leave(line)

    @on(Input.Changed, "#find")
    def _typed(self) -> None:
        self._filter()

    @on(Input.Submitted, "#find")
    def _entered(self, event: Input.Submitted) -> None:
        self._leave(event.input)

    def _leave(self, line: Input) -> None:
        line.display = bool(line.value)
        self.set_focus(None)


def open_gallery(app: App[Any], chosen: Path | None = None) -> None:
    """Show all pictures; the line that one is painted again with goes to the chat's input."""
    from chatapp_images.keeping import pictures

    host = reach.session_of(app).host

    def take(line: str | None) -> None:
        if line is not None:
            reach.type_in(app, line)

    app.push_screen(GalleryScreen(lambda: pictures(host), chosen), take)
