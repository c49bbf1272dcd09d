"""A picture in the conversation: the picture, a quiet line about it, and, in focus, what can be done with it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from chatapp import Media, visible
from chatapp_images.options import Display
from chatapp_images.view import reach
from chatapp_images.view.canvas import Canvas
from chatapp_images.view.pixels import Dimensions
from chatapp_images.view.words import caption, pixel_size

MOST_ROWS = 40
AROUND = 7
"""Lines of the screen that a whole picture leaves to its label and caption, the input and the status line."""
EDIT = "/image edit {} "
VARY = "/image vary {}"
HINT = "Enter open · s save · c copy path · e edit · v vary · g gallery · Esc back"


def rows_for(screen: int) -> int:
    """How many lines a picture may take on a screen of so many; more than 18 only where that leaves room for others."""
    return max(4, min(MOST_ROWS, max(18, screen * 6 // 10), screen - AROUND))


def widget_for(part: Media) -> PictureView | None:
    """The widget for a part that is a picture."""
    return PictureView(part) if part.mime.startswith("image/") else None


class PictureView(Vertical, can_focus=True):
    """A picture of the conversation."""

    DEFAULT_CSS = """
    PictureView { height: auto; width: 1fr; }
    PictureView .caption { color: $text-muted; height: auto; }
    PictureView .keys { color: $text-muted; height: 1; display: none; text-wrap: nowrap; text-overflow: ellipsis; }
    PictureView:focus .keys { display: block; }
    PictureView:focus .caption { color: $foreground; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,o", "open", "open", tooltip="Open it in the system's viewer.", id="picture.open", show=False),
        Binding("s", "save", "save as", tooltip="Save a copy of it.", id="picture.save", show=False),
        Binding("c,y", "copy_path", "copy path", tooltip="Copy where it is.", id="picture.copy_path", show=False),
        Binding("e", "edit", "edit", tooltip="Say what should be changed in it.", id="picture.edit", show=False),
        Binding("v", "vary", "vary", tooltip="Paint it again with another seed.", id="picture.vary", show=False),
        Binding("g", "gallery", "gallery", tooltip="Look at all pictures.", id="picture.gallery", show=False),
    ]

    def __init__(self, part: Media) -> None:
        super().__init__()
        self.part = part
        self.path = Path(part.path)

    def compose(self) -> ComposeResult:
        """The picture, where pictures are shown, and the lines below it."""
        display: Display = reach.display_of(self.app)
        pixels = pixel_size(self.part.meta)
        if display == "off":
            yield Static(Content(visible(f"{self.part.path}")), classes="path")
        else:
            size = Dimensions(*pixels) if pixels else None
            yield Canvas(self.path, display=display, size=size, most_rows=rows_for)
        yield Static(Content(caption(self.part.meta, self.part.alt)), classes="caption")
        yield Static(HINT, classes="keys")

    def on_focus(self) -> None:
        """The line of the keys is there now; let it be seen."""
        # In the screen's own queue, behind its wish to have the middle of what has the focus in view.
        keys = self.query_one(".keys")
        self.screen.call_later(self.screen.call_after_refresh, keys.scroll_visible, animate=False)

    def action_open(self) -> None:
        """In the system's viewer."""
        self.run_worker(reach.do_open(self.app, self.path), group="picture")

    def action_save(self) -> None:
        """A copy."""
        self.run_worker(reach.do_save(self.app, self.path), group="picture")

    def action_copy_path(self) -> None:
        """To the clipboard."""
        reach.do_copy_path(self.app, self.path)

    def action_edit(self) -> None:
        """Let the user say what should change."""
        reach.type_in(self.app, reach.command(EDIT, self.path))

    def action_vary(self) -> None:
        """Another one like it."""
        reach.type_in(self.app, reach.command(VARY, self.path), send=True)

    def action_gallery(self) -> None:
        """All pictures, this one chosen."""
        from chatapp_images.view.gallery import open_gallery

        open_gallery(self.app, self.path)
