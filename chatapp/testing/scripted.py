"""An engine that answers as it was told, and remembers what it was asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

from chatapp.engine import Adapter, AdapterFacts, EngineConfig, EngineInfo, Request
from chatapp.errors import EngineError, WorkerDied
from chatapp.events import Event, Finished, ReasoningDelta, TextDelta, Usage
from chatapp.messages import Message, ToolCall, chat_text

MODEL = "scripted"
Step: TypeAlias = Event | Exception | asyncio.Event
"""What an answer is made of: an event to stream, an exception to raise, or a gate to wait at until it is set."""


@dataclass(slots=True)
class ScriptedEngine:
    """An engine that answers as it was told, and remembers what it was asked.

    `says`, `calls`, `thinks`, `holds`, `fails` and `dies` tell it, in order; one answer is taken per request, and
    without one it answers "OK.". `delay` is the pause before each event, in seconds. Tokens are words. `reused` in its
    Usage is counted as a real engine would: the leading words shared with the last prompt and answer. `stopped` counts
    the answers that were not heard to their end. `configs` are those it was opened and tuned with; every adapter suits
    it, and is an ordinary one unless `invocation` says otherwise.
    """

    answers: list[str | Sequence[Step]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    configs: list[EngineConfig] = field(default_factory=list)
    delay: float = 0.0
    context_length: int = 4096
    stopped: int = 0
    closed: bool = False
    invocation: str = ""
    _begun: list[Step] = field(default_factory=list)
    _called: int = 0
    _held: list[str] = field(default_factory=list)

    @property
    def info(self) -> EngineInfo:
        """A model named "scripted" with every feature."""
        features = frozenset({"grammar", "json_schema", "logprobs", "tokenize", "tools", "adapters"})
        return EngineInfo(MODEL, MODEL, self.context_length, features)

    def says(self, *answers: str | Sequence[Step]) -> Self:
        """Answer the next requests so, one each: text, streamed word by word, or a list of steps."""
        for answer in answers:
            self.answers.append([*self._take_begun(), *_steps(answer)] if self._begun else answer)
        return self

    def calls(self, name: str, /, **arguments: Any) -> Self:
        """Answer the next request with a call of the tool `name`; the answer after it is to the call's result."""
        self._called += 1
        return self.says([ToolCall(str(self._called), name, arguments)])

    def thinks(self, text: str) -> Self:
        """Begin the next answer with this reasoning: ``engine.thinks("Let me see.").says("Yes.")``."""
        self._begun += [ReasoningDelta(word) for word in _words(text)]
        return self

    def holds(self, after: str = "") -> asyncio.Event:
        """Begin the next answer with the words `after` and then wait until the gate that is returned is set."""
        gate = asyncio.Event()
        self._begun += [*_deltas(after), gate]
        return gate

    def fails(self, sentence: str, after: str = "") -> Self:
        """Fail at the next request with this sentence, after these words of an answer."""
        return self.says([*_deltas(after), EngineError(sentence)])

    def dies(self, after: str = "") -> Self:
        """End as an engine whose process went away, after these words of an answer."""
        died = WorkerDied("The scripted process ended with code 1; the next use starts a fresh one.")
        return self.says([*_deltas(after), died])

    @property
    def sent(self) -> list[tuple[str, str]]:
        """(role, what the model reads) of each message of the latest request."""
        return sent_texts(self._latest().messages)

    @property
    def tools(self) -> list[str]:
        """The names of the tools offered in the latest request."""
        return [tool.name for tool in self._latest().tools]

    def assert_used(self) -> None:
        """Fail when an answer was never asked for."""
        left = [*self.answers, *([self._begun] if self._begun else [])]
        if left:
            raise AssertionError(
                f"{len(left)} of the answers given to the scripted engine were never asked for, first {left[0]!r}. "
                "Send as many messages as there are answers; a tool's result takes one more."
            )

    def _latest(self) -> Request:
        if not self.requests:
            raise AssertionError("The scripted engine was not asked anything yet: send a message first.")
        return self.requests[-1]

    def _take_begun(self) -> list[Step]:
        begun, self._begun = self._begun, []
        return begun

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Answer the next answer, event by event."""
        self.requests.append(request)
        steps = _steps(self.answers.pop(0)) if self.answers else [*self._take_begun(), *_deltas("OK.")]
        said = ""
        complete = False
        try:
            for step in steps:
                await asyncio.sleep(self.delay)
                if isinstance(step, Exception):
                    raise step
                if isinstance(step, asyncio.Event):
                    await step.wait()
                    continue
                said += step.text if isinstance(step, TextDelta) else ""
                yield step
            if not any(isinstance(step, Finished) for step in steps):
                yield self._usage(request, said)
                yield Finished("stop")
            complete = True
        finally:
            self.stopped += not complete

    def _usage(self, request: Request, said: str) -> Usage:
        words, spans = _prompt(request)
        reused = 0
        for before, now in zip(self._held, words, strict=False):
            if before != now:
                break
            reused += 1
        self._held = [*words, "<assistant>", *said.split()]
        return Usage(len(words), reused, len(said.split()), 0.1, 1.0, self.context_length, tuple(spans))

    async def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """A token is a word."""
        return [len(text.split()) for text in texts]

    async def tokenize(self, request: Request) -> list[str]:
        """The words of a prompt, each message's role before it."""
        return _prompt(request)[0]

    async def tune(self, config: EngineConfig) -> bool:
        """Takes on anything."""
        self.configs.append(config)
        return True

    async def examine(self, adapter: Adapter) -> AdapterFacts:
        """An adapter of rank 8."""
        return AdapterFacts(8, 16.0, ("attn_q",), 0, MODEL, (1,) if self.invocation else (), self.invocation)

    async def close(self) -> None:
        """Notes that it was closed."""
        self.closed = True


def sent_texts(messages: Sequence[Message]) -> list[tuple[str, str]]:
    """(role, what the model reads) of each message."""
    return [(message.role, chat_text(message)) for message in messages]


def _prompt(request: Request) -> tuple[list[str], list[tuple[int, int]]]:
    spans: list[tuple[int, int]] = []
    words: list[str] = []
    for message in request.messages:
        begin = len(words)
        words += [f"<{message.role}>", *chat_text(message).split()]
        spans.append((begin, len(words)))
    return words, spans


def _words(text: str) -> list[str]:
    """The words of a text, each but the first with the space before it."""
    return [word if place == 0 else f" {word}" for place, word in enumerate(text.split(" "))]


def _deltas(text: str) -> list[Step]:
    return [TextDelta(word) for word in _words(text)] if text else []


def _steps(answer: str | Sequence[Step]) -> list[Step]:
    return [TextDelta(word) for word in _words(answer)] if isinstance(answer, str) else list(answer)
