"""Tools the model may use, each with the user's consent, and those of MCP servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from chatapp import Action, Block, Event, Host, Request, Turn, hookimpl

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
async def startup(host: Host) -> None:
    """Let messages mention what MCP servers have."""
    from chatapp_tools.servers.mentions import completions

    host.mentions["tools"] = completions


@hookimpl
async def context(turn: Turn) -> Iterable[Block]:
    """How to use tools, where they are on, and what the message mentions of MCP servers, as @server:uri."""
    from chatapp_tools.offering import choose_for, instructions, is_on
    from chatapp_tools.servers.mentions import resources

    if is_on(turn.session):
        from chatapp_tools.servers.shelf import refresh

        await refresh(turn.session)
        await choose_for(turn)
    return [*instructions(turn), *await resources(turn)]


@hookimpl
def prepare_request(request: Request, turn: Turn) -> Request | None:
    """Offer the model the tools that were chosen for this turn."""
    from chatapp_tools.offering import prepared

    return prepared(request, turn)


@hookimpl
async def transform_stream(stream: AsyncIterator[Event], turn: Turn) -> AsyncIterator[Event]:
    """Have a call that asks first wait for the results of those before it."""
    from chatapp_tools.stepping import in_steps

    async for event in in_steps(stream, turn):
        yield event


@hookimpl
async def shutdown(host: Host) -> None:
    """End the MCP servers that were started."""
    from chatapp_tools.servers.shelf import close

    host.mentions.pop("tools", None)
    await close(host)
