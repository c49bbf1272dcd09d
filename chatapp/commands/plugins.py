"""Commands about plugins."""

from __future__ import annotations

from chatapp.actions import action
from chatapp.commands.table import table
from chatapp.messages import Data
from chatapp.session import Session


@action("plugins list")
async def list_(session: Session) -> Data:
    """List the plugins: name, state, where from, and what is wrong with one that failed."""
    rows = []
    for plugin in session.host.plugins.values():
        trouble = "; ".join([*filter(None, [plugin.error]), *plugin.reported])
        advice = f"{trouble} Try: {plugin.mend}" if plugin.mend else trouble
        rows.append((plugin.name, plugin.state, plugin.origin, plugin.version, plugin.where, advice))
    return table("plugins", ("name", "state", "from", "version", "where", "error"), rows)
