"""Writing an answer token by token, after its prompt was read."""

from __future__ import annotations

import codecs
import time
from bisect import bisect_left
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from chatapp import Event, Job, Notice, Reason, Sampling, TextDelta, Usage
from chatapp_llama.calls import Calls
from chatapp_llama.mix import Mix
from chatapp_llama.reading import Reading
from chatapp_llama.sampler import Sampler
from chatapp_llama.template import Prompt

CUT = "The answer ended in the middle of a tool's call, which is left out: allow it more tokens (max_tokens)."
LEAD = 0.7
"""By how much (natural log) another call must be likelier than the end of the answer.

Small models go on calling by a hair: where one call was wanted most of the needless ones led by less than 0.6, and
where several were wanted these led by 0.7 and more (Qwen2.5 Coder 1.5B).
"""


@dataclass(slots=True)
class Clock:
    """When an answer was asked for, and when its first and last token came; in seconds of a monotonic clock."""

    asked: float
    first: float = 0.0
    last: float = 0.0
    tokens: int = 0

    def tick(self) -> None:
        """Another token came."""
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.tokens += 1


@dataclass(slots=True)
class Writer:
    """Writes the answer to a prompt of `tokens`, under the mix of adapters that its last token was read under."""

    job: Job
    reading: Reading
    sampling: Sampling
    tokens: Sequence[int]
    mix: Mix
    clock: Clock
    calls: Calls

    def write(self, limit: int) -> Generator[Event, None, Reason]:
        """Write at most `limit` tokens; returns why it ended."""
        sampler = Sampler(self.reading.model, self.sampling, self.tokens)
        try:
            reason = yield from self._write(sampler, limit)
        finally:
            sampler.close()
        if self.calls.cut:
            yield Notice(CUT, "warning")
        return "tool_calls" if self.calls.made and reason != "stopped" else reason

    def _write(self, sampler: Sampler, limit: int) -> Generator[Event, None, Reason]:
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        stop, calls = StopText(self.sampling.stop), self.calls
        while self.clock.tokens < limit:
            if self.mix:
                self.reading.check()
            token = self._draw(sampler)
            logprobs = () if calls.inside else sampler.logprobs(token)
            self.clock.tick()
            if self.reading.model.is_end(token):
                yield from _delta(stop.feed(calls.rest()) + stop.rest(), logprobs)
                return "stop"
            yield from _delta(stop.feed(calls.feed(decode(self.reading.model.piece(token)))), logprobs)
            yield from calls.ready()
            if stop.found or calls.over:
                return "stop"
            if self.job.cancelled:
                return "stopped"
            if calls.begins:
                yield from _delta(stop.rest(), ())
            if not (self._enter(sampler) if calls.begins else self.reading.evaluate([token], self.mix)):
                return "stopped"
        yield from _delta(stop.feed(calls.rest()) + stop.rest(), ())
        return "length"

    def _draw(self, sampler: Sampler) -> int:
        """The next token; one that begins another call only where it leads clearly."""
        begins = (self.reading.model.tokenize(text.encode(), special=True) for text in self.calls.another())
        return sampler.draw([tokens[0] for tokens in begins if len(tokens) == 1], LEAD)

    def _enter(self, sampler: Sampler) -> bool:
        """Put what the model was trained to begin a call with in place of what it wrote; False when stopped."""
        text, grammar = self.calls.enter()
        sampler.constrain(grammar)
        written = self.reading.rewrite(text.encode(), len(self.tokens), self.mix)
        self.clock.tokens = written or 0
        return written is not None


def usage(reading: Reading, prompt: Prompt, tokens: Sequence[int], kept: int, clock: Clock) -> Usage:
    """What an answer cost."""
    return Usage(
        prompt_tokens=len(tokens),
        reused_tokens=kept,
        completion_tokens=clock.tokens,
        first_token_seconds=max(clock.first - clock.asked, 0.0),
        completion_seconds=clock.last - clock.first,
        context_length=reading.model.context_length,
        spans=tuple(pairwise(marks(reading, prompt, tokens))),
    )


def marks(reading: Reading, prompt: Prompt, tokens: Sequence[int]) -> list[int]:
    """The places between the messages of a prompt, in tokens, from 0 to the whole."""
    ends, total = [], 0
    for token in tokens:
        total += len(reading.model.piece(token))
        ends.append(total)
    # The markers before a message belong to it, those after the last one to the last.
    return [0, *(bisect_left(ends, end) + 1 for end in prompt.ends[:-1]), len(tokens)]


def _delta(text: str, logprobs: Any) -> Iterator[Event]:
    if text or logprobs:
        yield TextDelta(text, logprobs)


class StopText:
    """Holds back what may be the beginning of a stop text."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self.found = False

    def feed(self, text: str) -> str:
        """What may be shown now."""
        if not self._stops:
            return text
        self._held += text
        places = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if places:
            self.found = True
            return self._held[: min(places)]
        hold = max((_overlap(self._held, stop) for stop in self._stops), default=0)
        shown, self._held = self._held[: len(self._held) - hold], self._held[len(self._held) - hold :]
        return shown

    def rest(self) -> str:
        """What was held back, at the end of the answer."""
        rest, self._held = self._held, ""
        return rest


def _overlap(text: str, stop: str) -> int:
    """How many of the text's last characters begin `stop`."""
    return next((size for size in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:size])), 0)
