"""A call that the client insists on (`tool_choice`: "required", or a tool by its name): the answer is held to its form.

So it works with every engine that holds an answer to a JSON schema, however its model writes calls by itself.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from typing import Any

from chatapp import Tool, ToolCall

SHARED = ("$defs", "definitions")
"""Where a schema keeps what it refers to: from its root, so it must stand at the root of the whole."""


def form(tools: Sequence[Tool]) -> dict[str, Any]:
    """The JSON schema of a call of one of these tools."""
    calls = [_form(tool) for tool in tools]
    whole = calls[0] if len(calls) == 1 else {"anyOf": calls}
    for key in SHARED:
        found = {name: each for tool in tools for name, each in _mapping(tool.parameters.get(key)).items()}
        whole |= {key: found} if found else {}
    return whole


def _form(tool: Tool) -> dict[str, Any]:
    arguments = {key: value for key, value in tool.parameters.items() if key not in SHARED}
    return {
        "type": "object",
        "properties": {"name": {"const": tool.name}, "arguments": {"type": "object", **arguments}},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def written(text: str) -> ToolCall | None:
    """The call that was written; None for one that was cut."""
    try:
        found = json.loads(text)
        return ToolCall(f"call_{secrets.token_hex(8)}", str(found["name"]), dict(found["arguments"]))
    except (ValueError, TypeError, LookupError):
        return None
