"""A role or a collection of documents for one answer, switched by the commands of the plugins that have them.

What was on before is kept in the conversation and put back when the turn is over; after a crash, when the next begins.
"""

from __future__ import annotations

import copy
from contextlib import aclosing
from typing import Any

from chatapp import ChatappError, Progress, Session
from chatapp_experts.shelf import shelf

LENT = "experts.lent"
LINES = {"roles": "role", "rag": "rag on"}
"""The command that switches on, by the plugin whose values and place in the status line it changes."""
STAYS = {"roles": ("roles.said", "roles.read", "roles.base")}
"""Values that tell what was said in the conversation, which stays said."""


async def borrow(session: Session, plugin: str, name: str) -> None:
    """Switch on that plugin's `name` until `give_back`; where it cannot be, that is told once."""
    command = LINES[plugin]
    before = {"values": _values(session, plugin), "status": session.status.get(plugin)}
    if command not in session.host.actions:
        shelf(session.host).tell(f"An expert goes without {name!r}: the plugin {plugin!r} is not loaded.")
        return
    try:
        await _run(session, f"/{command} {name}")
    except ChatappError as error:
        shelf(session.host).tell(f"An expert goes without {name!r}: {error}")
        return
    session.values.setdefault(LENT, {})[plugin] = before


async def give_back(session: Session) -> None:
    """Put back what was on before."""
    for plugin, before in session.values.pop(LENT, {}).items():
        if plugin == "roles" and "roles.current" not in before["values"]:
            # The model was told of the role: it must be told that it is over.
            await _run(session, "/role off")
            continue
        for key in _values(session, plugin):
            del session.values[key]
        session.values.update(before["values"])
        session.status.pop(plugin, None)
        if before["status"]:
            session.status[plugin] = before["status"]


async def _run(session: Session, line: str) -> None:
    async with aclosing(session.run(line)) as events:
        async for event in events:
            if isinstance(event, Progress):
                session.ui.progress(event)


def _values(session: Session, plugin: str) -> dict[str, Any]:
    return copy.deepcopy(
        {
            key: value
            for key, value in session.values.items()
            if key.startswith(f"{plugin}.") and key not in STAYS.get(plugin, ())
        }
    )
