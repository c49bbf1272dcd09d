"""From the pieces that a server streams to events: text, reasoning, calls of tools, probabilities, what it cost."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from chatapp import Event, Notice, Reason, ReasoningDelta, TextDelta, TokenLogprob, ToolCall, Usage
from chatapp_openai.failing import Strange

BROKEN = "A call of the tool {name!r} came without valid arguments and is left out."
FILTERED = "The server's filter ended the answer."


@dataclass(slots=True)
class Piece:
    """A call of a tool that grows."""

    id: str
    name: str = ""
    arguments: str = ""


@dataclass(slots=True)
class Reading:
    """What has come of one answer. `asked` is when it was asked for, in seconds of a monotonic clock."""

    asked: float
    text: str = ""
    reasoning: str = ""
    finish: str = ""
    deltas: int = 0
    first: float = 0.0
    last: float = 0.0
    usage: Any = None
    _pieces: dict[int, Piece] = field(default_factory=dict)

    def feed(self, chunk: Any) -> Iterator[Event]:
        """The events in one piece; Strange when it is none of OpenAI's."""
        choices = getattr(chunk, "choices", None)
        self.usage = getattr(chunk, "usage", None) or self.usage
        if not isinstance(choices, list):
            if self.usage is None:
                raise Strange("sent a malformed event: look at its log")
            return
        for choice in choices[:1]:
            yield from self._choice(choice)

    def _choice(self, choice: Any) -> Iterator[Event]:
        delta = getattr(choice, "delta", None)
        for name in ("reasoning_content", "reasoning"):
            thought = _text(getattr(delta, name, None))
            if thought:
                self._tick()
                self.reasoning += thought
                yield ReasoningDelta(thought)
                break
        text = _text(getattr(delta, "content", None)) or _text(getattr(delta, "refusal", None))
        logprobs = tuple(_logprobs(getattr(choice, "logprobs", None)))
        if text or logprobs:
            self._tick()
            self.text += text
            yield TextDelta(text, logprobs)
        for piece in _list(getattr(delta, "tool_calls", None)):
            self._tick()
            self._grow(piece)
        self.finish = _text(getattr(choice, "finish_reason", None)) or self.finish
        if self.finish == "content_filter":
            yield Notice(FILTERED, "warning")

    def _tick(self) -> None:
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.deltas += 1

    def _grow(self, piece: Any) -> None:
        function = getattr(piece, "function", None)
        name, identity = _text(getattr(function, "name", None)), _text(getattr(piece, "id", None))
        place = getattr(piece, "index", None)
        newest = max(self._pieces, default=-1)
        if not isinstance(place, int):
            # Some servers number nothing: a name begins a call.
            place = newest + 1 if name or newest < 0 else newest
        held = self._pieces.get(place)
        if held is not None and name and identity and held.id != identity:
            # Others give every call the number 0.
            place, held = newest + 1, None
        if held is None:
            held = self._pieces[place] = Piece(identity or secrets.token_hex(5)[:9])
        held.name = held.name or name
        held.arguments += _arguments(getattr(function, "arguments", None))

    def calls(self) -> Iterator[ToolCall | Notice]:
        """The calls that came whole; of others that they are left out."""
        for _, piece in sorted(self._pieces.items()):
            try:
                arguments = json.loads(piece.arguments or "{}")
            except ValueError:
                arguments = None
            if piece.name and isinstance(arguments, dict):
                yield ToolCall(piece.id, piece.name, arguments)
            else:
                yield Notice(BROKEN.format(name=piece.name), "warning")

    def reason(self, called: bool) -> Reason:
        """Why it ended."""
        return "tool_calls" if called else "length" if self.finish == "length" else "stop"

    def cost(self, prompt: int, completion: int, context: int) -> Usage:
        """What it cost: as the server says, else as it was counted here."""
        usage = self.usage
        cached = _number(getattr(getattr(usage, "prompt_tokens_details", None), "cached_tokens", None))
        return Usage(
            prompt_tokens=_number(getattr(usage, "prompt_tokens", None)) or prompt,
            # DeepSeek's own name for it is the second.
            reused_tokens=cached or _number(getattr(usage, "prompt_cache_hit_tokens", None)),
            completion_tokens=_number(getattr(usage, "completion_tokens", None)) or completion,
            first_token_seconds=max(self.first - self.asked, 0.0),
            completion_seconds=self.last - self.first,
            context_length=context,
        )


def _logprobs(given: Any) -> Iterator[TokenLogprob]:
    for each in _list(getattr(given, "content", None)):
        top = [
            (_text(getattr(other, "token", None)), float(getattr(other, "logprob", 0.0)))
            for other in _list(getattr(each, "top_logprobs", None))
        ]
        yield TokenLogprob(_text(getattr(each, "token", None)), float(getattr(each, "logprob", 0.0)), tuple(top))


def _arguments(value: Any) -> str:
    # Some servers send the arguments as an object in place of its text.
    return value if isinstance(value, str) else json.dumps(value) if isinstance(value, dict) else ""


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 0
