"""Tools for a model whose chat template has no place for them: told in words, in the form of Hermes and Qwen."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from chatapp_llama.form import HERMES

OFFER = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{tools}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{{"name": <function-name>, "arguments": <args-json-object>}}
</tool_call>"""
"""How tools are offered where the template has no place for them: Qwen's words."""


def laid_out(messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages of text only: the tools in the system message, calls and results in Hermes' form."""
    laid: list[dict[str, Any]] = []
    for message in messages:
        if message["role"] == "tool":
            text = f"<tool_response>\n{message['content']}\n</tool_response>"
            if laid and laid[-1].get("result"):
                laid[-1]["content"] += "\n" + text
            else:
                laid.append({"role": "user", "content": text, "result": True})
            continue
        calls = [each["function"] for each in message.get("tool_calls") or ()]
        written = [f"{HERMES.begin}{c['name']}{HERMES.middle}{_json(c['arguments'])}{HERMES.end}" for c in calls]
        laid.append({"role": message["role"], "content": "\n".join(filter(None, [message["content"], *written]))})
    if tools:
        offer = OFFER.format(tools="\n".join(_json(tool) for tool in tools))
        first = laid.pop(0)["content"] + "\n\n" if laid and laid[0]["role"] == "system" else ""
        laid.insert(0, {"role": "system", "content": first + offer})
    return laid


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
