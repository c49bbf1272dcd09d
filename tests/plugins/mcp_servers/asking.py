"""An MCP server that asks its client: its user by a form, the folders, the model. Tells what it was answered.

With "old" it speaks MCP of 2025 and asks in the middle of a call; else that of 2026, and asks in place of an answer.
"""

from __future__ import annotations

import json
import sys
from typing import Any

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Your name", "minLength": 2},
        "age": {"type": "integer", "minimum": 0},
        "size": {"type": "string", "enum": ["small", "large"]},
        "news": {"type": "boolean", "description": "Letters"},
        "note": {"type": "string"},
    },
    "required": ["name", "age", "size", "news"],
}
NESTED = {"type": "object", "properties": {"in": {"type": "object"}}}
ADDRESS = {"mode": "url", "message": "Sign here.", "url": "https://example.org/", "elicitationId": "1"}
SAMPLING = {"messages": [{"role": "user", "content": {"type": "text", "text": "Hi"}}], "maxTokens": 5}
QUESTIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "form": ("elicitation/create", {"mode": "form", "message": "Who are you?", "requestedSchema": SCHEMA}),
    "nested": ("elicitation/create", {"mode": "form", "message": "In?", "requestedSchema": NESTED}),
    "address": ("elicitation/create", ADDRESS),
    "sampling": ("sampling/createMessage", SAMPLING),
    "folders": ("roots/list", {}),
}


def send(message: dict[str, Any]) -> None:
    """One message."""
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def answer(number: Any, result: Any) -> None:
    """The result of a request."""
    send({"id": number, "result": result})


def asked(name: str) -> Any:
    """Ask, and wait for what the client says to it."""
    method, params = QUESTIONS[name]
    send({"id": f"ask-{name}", "method": method, "params": params})
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("id") == f"ask-{name}" and "method" not in message:
            return message.get("result", message.get("error"))
    return None


def old() -> None:
    """Serve MCP of 2025."""
    for line in sys.stdin:
        message = json.loads(line)
        method, number = message.get("method"), message.get("id")
        if method == "initialize":
            about = {"name": "asking", "version": "0"}
            answer(number, {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": about})
        elif method == "tools/list":
            answer(number, {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in QUESTIONS]})
        elif method == "tools/call":
            answer(number, {"content": [{"type": "text", "text": json.dumps(asked(message["params"]["name"]))}]})
        elif number is not None and method is not None:
            send({"id": number, "error": {"code": -32601, "message": "Method not found"}})


async def new() -> None:
    """Serve MCP of 2026, by the SDK."""
    from mcp import types
    from mcp.server import Server
    from mcp.server.stdio import stdio_server

    async def list_tools(context: Any, params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(
            tools=[types.Tool(name=name, input_schema={"type": "object"}) for name in QUESTIONS]
        )

    async def call_tool(context: Any, params: Any) -> Any:
        if not params.input_responses or params.request_state != "kept":
            method, asks = QUESTIONS[params.name]
            request = {"method": method, "params": {key: asks[key] for key in asks if key != "elicitationId"}}
            return types.InputRequiredResult.model_validate(
                {"inputRequests": {"it": request}, "requestState": "kept", "resultType": "input_required"}
            )
        said = params.input_responses["it"].model_dump(mode="json", by_alias=True, exclude_none=True)
        return types.CallToolResult(content=[types.TextContent(text=json.dumps(said))])

    server: Server[Any] = Server("asking", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read_stream, write_stream):
        await server.run(read_stream, write_stream, server.create_initialization_options())


if __name__ == "__main__":
    if sys.argv[1:] == ["old"]:
        old()
    else:
        import anyio

        anyio.run(new)
