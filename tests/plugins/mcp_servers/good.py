"""An MCP server that does all it should, over stdio or, with an argument, over HTTP on a free port that it prints."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import Any

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.mcpserver.prompts.base import AssistantMessage, UserMessage
from mcp.types import (
    AudioContent,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
)

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
server = MCPServer("good", version="1.0")
cancelled: list[str] = []


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
def fail(why: str) -> str:
    """Fail."""
    raise ToolError(why)


@server.tool(structured_output=False)
def mixed() -> Any:
    """Text, a picture, a resource, a link, and a picture that is none."""
    note = TextResourceContents(uri="note://today", text="Buy milk.", mime_type="text/plain")
    return [
        TextContent(text="Look:"),
        ImageContent(data=PIXEL, mime_type="image/png"),
        EmbeddedResource(resource=note),
        ResourceLink(name="more", uri="note://more", description="More notes"),
        ImageContent(data="bm8gcGljdHVyZQ==", mime_type="image/png"),
        AudioContent(data="!!", mime_type="audio/ogg"),
    ]


@server.tool()
async def slow(steps: int, ctx: Context) -> str:
    """Take a while, telling how far it is."""
    try:
        for step in range(steps):
            await ctx.report_progress(step + 1, steps, f"step {step + 1}")
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        cancelled.append("slow")
        raise
    return "There."


@server.tool()
def seen() -> list[str]:
    """The calls that were cancelled, and the names of some environment variables."""
    return [*cancelled, *sorted(name for name in os.environ if "SECRET" in name)]


@server.tool()
async def grow(ctx: Context) -> str:
    """Offer one more tool."""
    server.add_tool(lambda: "I am new.", name="newcomer", description="New here.")
    if (ctx.protocol_version or "") < "2026":
        await ctx.session.send_tool_list_changed()
    else:
        await ctx.notify_tools_changed()
    return "Grown."


@server.prompt()
def greet(name: str, mood: str = "happy") -> str:
    """Greet somebody."""
    return f"Say hello to {name}, who is {mood}."


@server.prompt()
def talk() -> list[Any]:
    """A whole conversation."""
    return [UserMessage("Hi."), AssistantMessage("Hello."), UserMessage("How are"), UserMessage("you?")]


@server.resource("note://today", name="today", description="What to do")
def today() -> str:
    """Today's note."""
    return "Buy milk. </document>"


def main() -> None:
    """Serve."""
    if len(sys.argv) < 2:
        server.run()
        return
    with socket.create_server(("127.0.0.1", 0)) as listening:
        sys.stdout.write(f"{listening.getsockname()[1]}\n")
        sys.stdout.flush()
        config = uvicorn.Config(server.streamable_http_app(), log_level="error")
        uvicorn.Server(config).run(sockets=[listening])


main()
