"""From our request to the body of `/v1/chat/completions`, in the dialect of the server's software."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from chatapp import Media, Message, Request, Sampling, ToolCall, ToolResult, chat_text

LARGEST = 20_000_000
"""Bytes of the largest picture that is sent."""
USUAL = ("temperature", "top_p", "presence_penalty", "seed", "max_tokens")
"""Values of our sampling that OpenAI's interface has, under the same names."""
FURTHER: Mapping[str, Mapping[str, str]] = {
    "openai": {},
    "vllm": {"top_k": "top_k", "min_p": "min_p", "repeat_penalty": "repetition_penalty"},
    "llama-server": {"top_k": "top_k", "min_p": "min_p", "repeat_penalty": "repeat_penalty"},
    "llama-cpp-python": {"top_k": "top_k", "min_p": "min_p", "repeat_penalty": "repeat_penalty"},
}
"""What else a server's software takes, and how it calls it."""
VARIABLES = frozenset({"vllm", "llama-server"})
"""Software that hands variables to the chat template."""


def body(request: Request, kind: str, model: str, pictures: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """What to send, but for `stream`, and the names of what this software cannot do, as people call it.

    `pictures` are the data URLs of those that are sent, by path.
    """
    sent: dict[str, Any] = {"model": model, "messages": list(messages(request, pictures))}
    missing = _sampling(sent, request.sampling, kind)
    missing += _constraint(sent, request.sampling, kind)
    if request.tools:
        sent["tools"] = [
            {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.parameters}}
            for t in request.tools
        ]
        if "tool_choice" in request.template:
            sent["tool_choice"] = request.template["tool_choice"]
    variables = {name: value for name, value in request.template.items() if name != "tool_choice"}
    if variables and kind in VARIABLES:
        sent["chat_template_kwargs"] = variables
    if request.continue_last and kind == "vllm":
        sent |= {"add_generation_prompt": False, "continue_final_message": True}
    elif request.continue_last and kind != "llama-server":
        missing.append("going on with an answer that is begun")
    return sent, missing


def _sampling(sent: dict[str, Any], sampling: Sampling, kind: str) -> list[str]:
    values = {name: getattr(sampling, name) for name in USUAL}
    sent.update({name: value for name, value in values.items() if value is not None})
    if sampling.stop:
        sent["stop"] = list(sampling.stop)
    if sampling.logprobs:
        sent |= {"logprobs": True, "top_logprobs": sampling.logprobs}
    missing = []
    for name in ("top_k", "min_p", "repeat_penalty"):
        value, theirs = getattr(sampling, name), FURTHER[kind].get(name)
        if value is not None and theirs:
            sent[theirs] = value
        elif value is not None:
            missing.append(name)
    return missing


def _constraint(sent: dict[str, Any], sampling: Sampling, kind: str) -> list[str]:
    if sampling.json_schema is not None:
        schema = dict(sampling.json_schema)
        named = {"name": "answer", "schema": schema, "strict": closed(schema)}
        sent["response_format"] = (
            {"type": "json_object", "schema": schema}
            if kind == "llama-cpp-python"
            else {"type": "json_schema", "json_schema": named}
        )
    if not sampling.grammar:
        return []
    if kind == "openai":
        return ["a grammar"]
    grammar = {"grammar": sampling.grammar}
    sent.update({"structured_outputs": grammar} if kind == "vllm" else grammar)
    return []


def closed(schema: Any) -> bool:
    """Whether OpenAI's `strict` takes a schema: every object names all its members as required and allows no others."""
    if isinstance(schema, list):
        return all(map(closed, schema))
    if not isinstance(schema, Mapping):
        return True
    if isinstance(schema.get("properties"), Mapping):
        whole = schema.get("additionalProperties") is False
        if not whole or set(schema.get("required", ())) != set(schema["properties"]):
            return False
    return all(map(closed, schema.values()))


def messages(request: Request, pictures: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The messages in OpenAI's form.

    A call without a result, of a turn that was stopped, is left out with whatever else has no counterpart: servers
    refuse a conversation with half a call in it.
    """
    parts = [part for message in request.messages for part in message.parts]
    called = {part.id for part in parts if isinstance(part, ToolCall)}
    answered = {part.call_id for part in parts if isinstance(part, ToolResult)} & called
    for message in request.messages:
        if message.role == "tool":
            yield from _results(message, answered)
        elif message.role == "assistant":
            yield _assistant(message, answered)
        else:
            yield {"role": message.role, "content": _content(message, pictures)}


def _results(message: Message, answered: Collection[str]) -> Iterator[dict[str, Any]]:
    result = next((part for part in message.parts if isinstance(part, ToolResult)), None)
    if result is not None and result.call_id in answered:
        yield {"role": "tool", "tool_call_id": result.call_id, "content": chat_text(message)}


def _assistant(message: Message, answered: Collection[str]) -> dict[str, Any]:
    form: dict[str, Any] = {"role": "assistant", "content": chat_text(message)}
    calls = [part for part in message.parts if isinstance(part, ToolCall) and part.id in answered]
    if calls:
        form["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": json.dumps(dict(c.arguments))}}
            for c in calls
        ]
    return form


def _content(message: Message, pictures: Mapping[str, str]) -> str | list[dict[str, Any]]:
    shown = [pictures[part.path] for part in message.parts if isinstance(part, Media) and part.path in pictures]
    text = chat_text(message)
    if not shown:
        return text
    images = [{"type": "image_url", "image_url": {"url": url}} for url in shown]
    return [*([{"type": "text", "text": text}] if text else []), *images]


def data_urls(request: Request) -> dict[str, str]:
    """The pictures in the user's messages as data URLs (RFC 2397), by path; those that cannot be read are missing.

    Blocks while it reads.
    """
    found: dict[str, str] = {}
    for message in request.messages:
        for part in message.parts:
            if message.role == "user" and isinstance(part, Media) and part.mime.startswith("image/"):
                url = _data_url(Path(part.path), part.mime)
                if url:
                    found[part.path] = url
    return found


def _data_url(path: Path, mime: str) -> str:
    try:
        if path.stat().st_size > LARGEST:
            return ""
        return f"data:{mime};base64,{base64.b64encode(path.read_bytes()).decode()}"
    except OSError:
        # It is gone: the model is told what it showed, as models that cannot see are.
        return ""
