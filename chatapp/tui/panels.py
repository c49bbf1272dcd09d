"""The side panels that plugins declare, each made behind a guard."""

from __future__ import annotations

from textual.widget import Widget

from chatapp.session import Session
from chatapp.ui import Panel


async def collect(session: Session) -> list[tuple[str, list[Widget]]]:
    """(title, widgets) of each plugin's panels; one that fails is reported with its plugin and left out."""
    made = []
    for plugin, panels in await session.host.hooks.call("panels"):
        for panel in panels:
            try:
                made.append((panel.title, [_made(panel, session)]))
            except Exception as error:  # noqa: BLE001 - reported with plugin and hook, and the others go on
                session.host.report(plugin, "panels", error)
    return made


def _made(panel: Panel, session: Session) -> Widget:
    widget = panel.make(session)
    if not isinstance(widget, Widget):
        raise TypeError(f"the panel {panel.name!r} made {type(widget).__name__}, not a Textual widget")
    return widget
