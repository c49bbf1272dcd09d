"""The side panels that plugins declare, each made behind a guard."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from textual.widget import Widget

from chatapp.session import Session
from chatapp.ui import Panel

if TYPE_CHECKING:
    from chatapp.tui.screens.chat import ChatScreen


class Panels:
    """Shows the panels of the plugins that are on, as tabs beside the chat."""

    def __init__(self, screen: ChatScreen) -> None:
        self._screen = screen

    async def start(self) -> None:
        """Show those there are, and follow plugins that come and go."""
        await self._show("")
        self._screen.session.host.changed.append(self._follow)

    def _follow(self, plugin: str) -> None:
        screen = self._screen
        if screen.is_attached and screen.app.is_running:
            # Not the coroutine itself: one that is cancelled before it begins would be reported as never awaited.
            show: Any = partial(self._show, plugin)
            screen.run_worker(show, group=f"panels of {plugin}", exclusive=True)
            screen.show_facts()

    async def _show(self, plugin: str) -> None:
        """Make the panels of one plugin anew, or of all for ""."""
        if plugin:
            await self._screen.side.remove_of(plugin)
        for owner, title, widget in await collect(self._screen.session, plugin):
            await self._screen.side.add(owner, title, widget)


async def collect(session: Session, plugin: str = "") -> list[tuple[str, str, Widget]]:
    """(plugin, title, widget) of each panel, of one plugin or of all; what fails is reported and left out."""
    made = []
    for owner, panels in await session.host.hooks.call("panels", plugin):
        for panel in panels:
            try:
                made.append((owner, panel.title, _made(panel, session)))
            except Exception as error:  # noqa: BLE001 - reported with plugin and hook, and the others go on
                session.host.report(owner, "panels", error)
    return made


def _made(panel: Panel, session: Session) -> Widget:
    widget = panel.make(session)
    if not isinstance(widget, Widget):
        raise TypeError(f"the panel {panel.name!r} made {type(widget).__name__}, not a Textual widget")
    return widget
