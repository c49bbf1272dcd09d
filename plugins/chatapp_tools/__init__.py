"""Tools the model may use, each with the user's consent, and those of MCP servers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from chatapp import Action, Request, Turn, hookimpl

if TYPE_CHECKING:
    from pydantic import BaseModel


@hookimpl
def settings() -> type[BaseModel]:
    """The folders tools may read, and their limits."""
    from chatapp_tools.options import ToolsSettings

    return ToolsSettings


@hookimpl
def actions() -> Iterable[Action]:
    """The tools, and `/agent` and `/tools` that say which the model is offered."""
    from chatapp_tools.bundled import COMMANDS, TOOLS
    from chatapp_tools.commands import ACTIONS

    return [*TOOLS, *COMMANDS, *ACTIONS]


@hookimpl
async def prepare_request(request: Request, turn: Turn) -> Request | None:
    """Offer the model the tools that are on here."""
    from chatapp_tools.offering import is_on, prepared

    return await prepared(request, turn) if is_on(turn.session) else None
