"""The panel beside the conversation: what was sent, and the panels of plugins, as tabs."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import TabbedContent, TabPane, Tabs

from chatapp.tui.safe import safe
from chatapp.tui.widgets.sent import SentPanel


class SidePanel(Vertical):
    """Hidden until it is asked for."""

    def __init__(self) -> None:
        super().__init__(id="side")
        self.display = False

    def compose(self) -> ComposeResult:
        """The one panel of our own; those of plugins come once they are started."""
        with TabbedContent(id="tabs"), TabPane("Sent", id="tab-sent"):
            yield SentPanel()

    @property
    def sent(self) -> SentPanel:
        """The first tab."""
        return self.query_one(SentPanel)

    async def add(self, title: str, widgets: Sequence[Widget]) -> None:
        """Add a tab of a plugin."""
        await self.query_one("#tabs", TabbedContent).add_pane(TabPane(safe(title), VerticalScroll(*widgets)))

    def focus_inside(self) -> None:
        """Put the cursor into the list, or on the tabs where there is nothing to choose."""
        options = self.query_one("#sent-list")
        (options if options.display else self.query_one(Tabs)).focus()
