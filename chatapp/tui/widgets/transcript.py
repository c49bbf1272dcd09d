"""The conversation as it is shown: its last messages as widgets, with notes, stuck to the bottom until scrolled."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Static

from chatapp.events import Event
from chatapp.tui.safe import safe
from chatapp.tui.widgets.greeting import Greeting
from chatapp.tui.widgets.message import MessageView, Render, Shown

WINDOW = 40
"""Messages that are widgets after each turn: message 500 is drawn as fast as message 1."""
MORE = 20
"""How many earlier ones are added when the top is reached."""
FIXED = ("greeting", "earlier")
"""Ids of the widgets that are always there."""


class Note(Static):
    """Something said outside the conversation: what a command showed, a notice, an error."""


class Transcript(VerticalScroll, can_focus=False):
    """Shows what `sync` is given; `stream` shows an answer as it comes."""

    def __init__(self, render: Render) -> None:
        super().__init__(id="transcript")
        self._render_part = render
        self._messages: list[Shown] = []
        self._first = 0
        self._live: MessageView | None = None
        self._loading = False
        self._held: int | None = None

    def compose(self) -> ComposeResult:
        """What an empty conversation shows, and the line that tells of earlier messages."""
        yield Greeting(id="greeting")
        yield Static(id="earlier")

    def on_mount(self) -> None:
        """Stick to the bottom as soon as there is more than fits."""
        self.watch(self, "virtual_size", self._grown, init=False)
        self.watch(self, "scroll_y", self._scrolled, init=False)

    @property
    def views(self) -> list[MessageView]:
        """The message widgets there are, first to last."""
        return list(self.query_children(MessageView))

    async def sync(self, messages: Sequence[Shown]) -> None:
        """Make what is shown equal to `messages`; views that fit stay as they are, notes stay where they are."""
        views = self.views
        if not views or self._first > len(messages):
            self._first = max(0, len(messages) - WINDOW)
        wanted = messages[self._first :]
        kept = 0
        for view, shown in zip(views, wanted, strict=False):
            if not view.fits(shown):
                break
            if view.live or view.shown != shown:
                await view.settle(shown)
            kept += 1
        await self._remove(views[kept:])
        self._messages = list(messages)
        self._live = None
        await self._append([MessageView(shown, self._render_part) for shown in wanted[kept:]])
        await self._prune()

    async def preview(self, shown: Shown) -> None:
        """Show a message that is about to be sent; the next `sync` makes it the real one."""
        await self._append([MessageView(shown, self._render_part, live=True)])

    async def stream(self, event: Event) -> None:
        """Show an event of an answer, in a live message of its own until the next `sync`."""
        if self._live is None:
            self._live = MessageView(None, self._render_part)
            await self._append([self._live])
        await self._live.absorb(event)

    @property
    def live(self) -> MessageView | None:
        """The answer that is on its way."""
        return self._live

    async def note(self, widget: Widget) -> None:
        """Show something that is no message, at the end; of what is taller than the screen, the beginning."""
        await self._append([widget])
        self.call_after_refresh(self._show_top, widget)

    def _show_top(self, widget: Widget) -> None:
        if widget.is_attached and widget.outer_size.height > self.size.height:
            self.scroll_to(y=widget.virtual_region.y - 1, animate=False)

    async def say(self, text: str, kind: str = "notice") -> None:
        """A note of plain text; `kind` is notice, warning, error or command."""
        await self.note(Note(safe(text), classes=f"-{kind}"))

    async def reset(self) -> None:
        """Take everything away: another conversation is opened."""
        await self._remove([child for child in self.children if child.id not in FIXED])
        self._messages, self._first, self._live, self._held = [], 0, None, None
        self.to_end()

    def to_end(self) -> None:
        """Back to the newest, and stay there."""
        if self.is_anchored:
            self.anchor()

    def page(self, by: int) -> None:
        """Scroll a page up (-1) or down (1)."""
        if by < 0:
            self.scroll_page_up(animate=False)
        else:
            self.scroll_page_down(animate=False)

    def step(self, view: MessageView | None, by: int) -> MessageView | None:
        """The message `by` places from `view` (None: from the input, below the last); None past the end."""
        views = [each for each in self.views if each.display]
        place = views.index(view) if view in views else len(views)
        place = max(place + by, 0)
        return views[place] if place < len(views) else None

    async def earlier(self) -> None:
        """Make widgets of some earlier messages; what is on the screen stays where it is."""
        if self._loading or self._first == 0:
            return
        self._loading = True
        try:
            begin = max(0, self._first - MORE)
            self._held = self.virtual_size.height - round(self.scroll_y)
            made = [MessageView(shown, self._render_part) for shown in self._messages[begin : self._first]]
            await self.mount_all(made, after="#earlier")
            self._first = begin
            self._tell_earlier()
        finally:
            self._loading = False

    async def _scrolled(self, _old: float, new: float) -> None:
        if self._held is not None and round(new) not in (0, self.virtual_size.height - self._held):
            self._held = None
        if new <= 0 and self._first > 0 and self.is_mounted and not self.is_at_end:
            await self.earlier()

    def _grown(self) -> None:
        # Textual lays what is anchored and does not fill the screen at its bottom; a conversation begins at the top.
        if self._held is not None:
            # Markdown is laid out in several steps; the reader's place is a distance from the end through all of them.
            self.scroll_to(y=self.virtual_size.height - self._held, animate=False)
        fills = self.virtual_size.height > self.size.height
        if fills != self.is_anchored:
            self.anchor(fills)
            if not fills:
                self.scroll_to(y=0, animate=False, force=True)

    @property
    def is_at_end(self) -> bool:
        """Whether the newest line is on the screen."""
        return self.max_scroll_y - self.scroll_y <= 1

    async def _append(self, widgets: Sequence[Widget]) -> None:
        if widgets:
            self._held = None
            self.query_one(Greeting).display = False
            await self.mount_all(widgets)

    async def _remove(self, widgets: Sequence[Widget]) -> None:
        if widgets:
            focused = self.screen.focused
            with self.app.batch_update():
                for widget in widgets:
                    await widget.remove()
            if focused in widgets:
                self.screen.set_focus(None)
            self.query_one(Greeting).display = len(self.children) == len(FIXED)

    async def _prune(self) -> None:
        """Drop the oldest widgets, unless the reader has scrolled up to look at them."""
        views = self.views
        if len(views) > WINDOW and self.is_at_end:
            first = views[-WINDOW]
            children = list(self.children)
            await self._remove([child for child in children[: children.index(first)] if child.id not in FIXED])
            self._first += len(views) - WINDOW
        self._tell_earlier()

    def _tell_earlier(self) -> None:
        line = self.query_one("#earlier", Static)
        line.display = self._first > 0
        line.update(f"↑ {self._first} earlier messages: scroll up to read them")
