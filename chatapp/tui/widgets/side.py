"""The panel beside the conversation: what was sent, and the panels of plugins, as tabs."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import TabbedContent, TabPane, Tabs

from chatapp.messages import Source
from chatapp.tui.safe import safe
from chatapp.tui.widgets.passage import PassagePanel
from chatapp.tui.widgets.sent import SentPanel

PASSAGE = "tab-passage"
SENT = "tab-sent"


class SidePanel(Vertical):
    """Hidden until it is asked for."""

    def __init__(self) -> None:
        super().__init__(id="side")
        self.display = False

    def compose(self) -> ComposeResult:
        """What was sent; the panels of plugins come once they are started, a passage when one is opened."""
        with TabbedContent(id="tabs"), TabPane("Sent", id=SENT):
            yield SentPanel()

    @property
    def sent(self) -> SentPanel:
        """The first tab."""
        return self.query_one(SentPanel)

    async def add(self, plugin: str, title: str, widget: Widget) -> None:
        """Add a tab of a plugin."""
        await self.query_one("#tabs", TabbedContent).add_pane(TabPane(safe(title), VerticalScroll(widget), name=plugin))

    async def remove_of(self, plugin: str) -> None:
        """Take away the tabs of a plugin."""
        tabs = self.query_one("#tabs", TabbedContent)
        for pane in [each for each in tabs.query(TabPane) if each.name == plugin]:
            await tabs.remove_pane(str(pane.id))

    async def show_passage(self, sources: Sequence[Source], place: int, origin: Widget | None) -> None:
        """Bring one of an answer's sources to the front; the focus goes back to `origin` in the end."""
        tabs = self.query_one("#tabs", TabbedContent)
        if not self.query(PassagePanel):
            await tabs.add_pane(TabPane("Passage", PassagePanel(), id=PASSAGE), after=SENT)
        tabs.active = PASSAGE
        panel = self.query_one(PassagePanel)
        if not panel.has_focus_within:
            panel.origin = origin
        panel.show(sources, place)

    def show_sent(self) -> None:
        """Bring what was sent to the front."""
        self.query_one("#tabs", TabbedContent).active = SENT

    def close(self) -> Widget | None:
        """Hide it; the widget that the focus goes back to, where it was opened from there and is still shown."""
        passage = self.query(PassagePanel).first() if self.query(PassagePanel) else None
        origin = passage.origin if passage is not None and passage.has_focus_within else None
        self.display = False
        if self.query_one("#tabs", TabbedContent).active == PASSAGE:
            self.show_sent()
        return origin if origin is not None and origin.is_attached and origin.focusable else None

    @property
    def reading(self) -> bool:
        """Whether the cursor is in a passage."""
        return any(panel.has_focus_within for panel in self.query(PassagePanel))

    def focus_inside(self) -> None:
        """Put the cursor into the text or the list in front, or on the tabs where there is nothing to choose."""
        if self.query_one("#tabs", TabbedContent).active == PASSAGE:
            self.query_one(PassagePanel).focus_inside()
            return
        options = self.query_one("#sent-list")
        (options if options.display else self.query_one(Tabs)).focus()
