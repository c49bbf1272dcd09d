"""Tools the model may use, each with the user's consent, and those of MCP servers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from chatapp import Action, Block, Host, Request, Turn, hookimpl

if TYPE_CHECKING:
    from pydantic import BaseModel


@hookimpl
def settings() -> type[BaseModel]:
    """The folders tools may read, and their limits."""
    from chatapp_tools.options import ToolsSettings

    return ToolsSettings


@hookimpl
def actions() -> Iterable[Action]:
    """The tools, `/agent` and `/tools` that say which the model is offered, and `/mcp`."""
    from chatapp_tools.bundled import COMMANDS, TOOLS
    from chatapp_tools.commands import ACTIONS
    from chatapp_tools.servers.commands import COMMANDS as MCP

    return [*TOOLS, *COMMANDS, *ACTIONS, *MCP]


@hookimpl
async def context(turn: Turn) -> Iterable[Block]:
    """What the message mentions of MCP servers, as @server:uri."""
    from chatapp_tools.servers.mentions import resources

    return await resources(turn)


@hookimpl
async def prepare_request(request: Request, turn: Turn) -> Request | None:
    """Offer the model the tools that are on here."""
    from chatapp_tools.offering import is_on, prepared

    if not is_on(turn.session):
        return None
    if turn.round == 1:
        from chatapp_tools.servers.shelf import refresh

        await refresh(turn.session)
    return await prepared(request, turn)


@hookimpl
async def shutdown(host: Host) -> None:
    """End the MCP servers that were started."""
    from chatapp_tools.servers.shelf import close

    await close(host)
