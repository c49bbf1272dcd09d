"""What an engine or an action streams, one frozen value at a time.

An answer is any number of deltas, parts, `Progress` and `Notice`, then one `Usage` where the engine can tell, then
exactly one `Finished`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from chatapp.messages import Data, Media, Source, Text, ToolCall, ToolResult

Reason: TypeAlias = Literal["stop", "length", "stopped", "failed", "tool_calls"]
Level: TypeAlias = Literal["information", "warning", "error"]


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A generated token, the natural logarithm of its probability, and the most probable alternatives."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer's text; `logprobs` only when the request asked for them."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the reasoning that goes before the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Work under way: `done` of `total` (None: unknown) in `unit` ("tokens", "bytes", "files"; "%" of 100)."""

    label: str
    done: float = 0
    total: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know that is no part of the answer."""

    text: str
    level: Level = "information"


@dataclass(frozen=True, slots=True)
class Usage:
    """What one answer cost.

    Tokens: `prompt_tokens` is the whole prompt, `reused_tokens` the leading part of it that was evaluated before,
    `completion_tokens` what was generated. Seconds: `first_token_seconds` from request to first token,
    `completion_seconds` from first token to last. `spans` gives, for each message of the request, its
    (first, one past last) token in the prompt; empty when the engine cannot tell.
    """

    prompt_tokens: int = 0
    reused_tokens: int = 0
    completion_tokens: int = 0
    first_token_seconds: float = 0.0
    completion_seconds: float = 0.0
    context_length: int = 0
    spans: tuple[tuple[int, int], ...] = ()

    @property
    def evaluated_tokens(self) -> int:
        """Prompt tokens that had to be read for this answer."""
        return self.prompt_tokens - self.reused_tokens

    @property
    def tokens_per_second(self) -> float:
        """Generation speed after the first token; 0.0 for answers of fewer than two tokens."""
        if self.completion_tokens < 2 or self.completion_seconds <= 0:
            return 0.0
        return (self.completion_tokens - 1) / self.completion_seconds


@dataclass(frozen=True, slots=True)
class Finished:
    """The end: by itself (`stop`), at `max_tokens` (`length`), by the user (`stopped`), for tools, or `failed`."""

    reason: Reason = "stop"
    error: str = ""


Event: TypeAlias = (
    TextDelta
    | ReasoningDelta
    | ToolCall
    | ToolResult
    | Media
    | Source
    | Data
    | Text
    | Progress
    | Notice
    | Usage
    | Finished
)
