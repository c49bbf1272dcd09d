"""The MCP server: which tools it offers, and one call from the arguments to the result."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from mcp import MCPError, types
from mcp.server import Server

from chatapp import (
    Action,
    ChatappError,
    Data,
    Event,
    Finished,
    Host,
    Media,
    Part,
    Progress,
    Session,
    Text,
    ToolCall,
    action,
    tool_of,
    use_tool,
)
from chatapp_tools.serving.asking import Gate, NeedsInput
from chatapp_tools.serving.front import ServedUI, telling

LARGEST_FILE = 8 * 2**20
"""Bytes of a picture that is sent along; of a larger one, where it is."""


@action("ask", tool=True, consent="free")
async def ask(
    session: Session, question: Annotated[str, "The whole question; nothing of earlier ones is known"]
) -> AsyncGenerator[Event, None]:
    """Ask the local assistant a question and get its answer."""
    async with aclosing(session.send(question)) as events:
        async for event in events:
            if isinstance(event, (Progress, Media)):
                yield event
            elif isinstance(event, Finished) and event.reason == "failed":
                raise ChatappError(event.error)
    yield Text(session.turn.text if session.turn is not None else "")


class Served:
    """The tools of a host, as other programs may call them; several calls at once have a session each."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.gate = Gate(host)
        self._answering = asyncio.Lock()

    @property
    def actions(self) -> dict[str, Action]:
        """All that is offered, by tool name: the actions that say ``tool=True``, and a question to the assistant."""
        declared = {each.tool_name: each for each in self.host.actions.values() if each.tool}
        return {ask.tool_name: ask, **declared}

    def server(self) -> Server[Any]:
        """The SDK's server over them."""
        return Server(
            "chatapp",
            version=version("chatapp"),
            title="chatapp",
            instructions="Tools of a local assistant: its documents, its pictures, and its answers.",
            on_list_tools=self.list_tools,
            on_call_tool=self.call_tool,
        )

    async def list_tools(self, ctx: Any, params: Any) -> types.ListToolsResult:
        """Every tool with the schema the local model is offered too."""
        tools = [tool_of(each) for each in self.actions.values()]
        return types.ListToolsResult(
            tools=[
                types.Tool(name=each.name, description=each.description, input_schema=dict(each.parameters))
                for each in tools
            ]
        )

    async def call_tool(
        self, ctx: Any, params: types.CallToolRequestParams
    ) -> types.CallToolResult | types.InputRequiredResult:
        """Run one call; what fails is a result that says so, and a tool that does not exist an MCP error."""
        found = self.actions.get(params.name)
        if found is None:
            raise MCPError(types.INVALID_PARAMS, f"There is no tool {params.name!r}.")
        call = ToolCall(str(ctx.request_id), params.name, params.arguments or {})
        ui = ServedUI(self.host.ui)
        session = Session(self.host, ui=ui, keep=False)
        guarded = replace(found, consent=self.gate.consent(found, call, ctx, params))
        try:
            async with telling(ui, ctx.session):
                if found is ask:
                    # One engine answers one question at a time; the others wait here, in order.
                    async with self._answering:
                        result, shown, _ = await use_tool(session, guarded, call)
                else:
                    result, shown, _ = await use_tool(session, guarded, call)
        except NeedsInput as needed:
            return needed.result
        content: list[types.ContentBlock] = [types.TextContent(text=result.text.removeprefix("Failed: "))]
        content += [await _picture(part) for part in shown if isinstance(part, Media)]
        return types.CallToolResult(content=content, structured_content=_structured(shown), is_error=result.failed)


def _structured(shown: list[Part]) -> Any:
    """The value of the one Data part, where it is an object; JSON all through."""
    values = [part.value for part in shown if isinstance(part, Data)]
    if len(values) != 1 or not isinstance(values[0], dict):
        return None
    return json.loads(json.dumps(values[0], default=str))


async def _picture(part: Media) -> types.ContentBlock:
    path = Path(part.path)
    size = (await asyncio.to_thread(path.stat)).st_size if await asyncio.to_thread(path.is_file) else 0
    if not part.mime.startswith("image/") or not 0 < size <= LARGEST_FILE:
        return types.TextContent(text=f"{part.path} ({part.mime})")
    data = await asyncio.to_thread(path.read_bytes)
    return types.ImageContent(data=base64.b64encode(data).decode(), mime_type=part.mime)
