"""Answers in the shapes of OpenAI's interface (chat.completion and chat.completion.chunk)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from chatapp import Source, TextDelta, TokenLogprob, ToolCall, Usage

REASONS = {"stop": "stop", "length": "length", "tool_calls": "tool_calls", "stopped": "stop", "failed": "stop"}
IMPOSSIBLE = -9999.0
"""What OpenAI's interface says for a probability of 0, whose logarithm JSON has no number for."""


def chunk(head: Mapping[str, Any], index: int, delta: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """One event of a streamed answer; `head` is what all of them share."""
    choice = {"index": index, "delta": dict(delta), "logprobs": None, "finish_reason": None, **more}
    return {**head, "object": "chat.completion.chunk", "choices": [choice]}


def call(made: ToolCall) -> dict[str, Any]:
    """A tool's call."""
    arguments = json.dumps(dict(made.arguments), ensure_ascii=False)
    return {"id": made.id, "type": "function", "function": {"name": made.name, "arguments": arguments}}


def cited(source: Source) -> dict[str, Any]:
    """A passage that the answer was given; OpenAI's interface has no field for it, this one is called `sources`."""
    return {"number": source.number, "title": source.title, "locator": source.locator, "text": source.text}


def probabilities(deltas: Iterable[TextDelta], alternatives: int) -> dict[str, Any] | None:
    """`logprobs` of an answer or of a piece of it, so many alternatives per token; None where none were asked for."""
    content = [_probability(each, alternatives) for delta in deltas for each in delta.logprobs]
    return {"content": content, "refusal": None} if content else None


def _probability(each: TokenLogprob, alternatives: int) -> dict[str, Any]:
    return {**_token(each.token, each.logprob), "top_logprobs": [_token(*one) for one in each.top[:alternatives]]}


def _token(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": max(logprob, IMPOSSIBLE), "bytes": list(text.encode())}


def cost(usages: Iterable[Usage]) -> dict[str, Any]:
    """`usage` of all that a request made the model read and write."""
    prompt = cached = written = 0
    for each in usages:
        prompt, cached = prompt + each.prompt_tokens, cached + each.reused_tokens
        written += each.completion_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
