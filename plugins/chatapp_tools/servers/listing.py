"""What an MCP server offers: its tools, prompts and resources, all of them, within bounds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from mcp import Client, MCPError, types
from mcp.types import PaginatedRequestParams

MOST_PAGES = 50
MOST = 200
"""Tools of one server, and as many prompts and resources."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What was listed; `more` says of what there is more than is taken."""

    tools: tuple[types.Tool, ...] = ()
    prompts: tuple[types.Prompt, ...] = ()
    resources: tuple[types.Resource, ...] = ()
    templates: tuple[types.ResourceTemplate, ...] = ()
    more: tuple[str, ...] = ()


async def listed(client: Client) -> Listing:
    """Ask for all that the server says it has. Of tools a failure is raised; the rest is taken as far as it goes."""
    has, session, more = client.server_capabilities, client.session, list[str]()

    async def pages(what: str, ask: Callable[..., Awaitable[Any]], optional: bool = True) -> tuple[Any, ...]:
        found: list[Any] = []
        cursor: str | None = None
        for _ in range(MOST_PAGES):
            try:
                page = await ask(params=PaginatedRequestParams(cursor=cursor))
            except MCPError:
                if not optional:
                    raise
                break
            found += getattr(page, what)
            cursor = page.next_cursor
            if cursor is None or len(found) > MOST:
                break
        if cursor is not None or len(found) > MOST:
            more.append(what)
        return tuple(found[:MOST])

    tools = await pages("tools", session.list_tools, optional=False) if has.tools is not None else ()
    prompts = await pages("prompts", session.list_prompts) if has.prompts is not None else ()
    resources, templates = (), ()
    if has.resources is not None:
        resources = await pages("resources", session.list_resources)
        templates = await pages("resource_templates", session.list_resource_templates)
    return Listing(tools, prompts, resources, templates, tuple(more))
