"""The service in the child process: loads a GGUF and answers requests with it."""

from __future__ import annotations

import codecs
import time
from bisect import bisect_left
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from chatapp import EngineError, Event, Finished, Job, Progress, Reason, Request, TextDelta, Usage
from chatapp_llama.failures import look
from chatapp_llama.native import Model
from chatapp_llama.prefix import Evaluated, common, tokens_of
from chatapp_llama.sampler import Sampler
from chatapp_llama.size import Size
from chatapp_llama.template import Prompt, Template


@dataclass(slots=True)
class _Clock:
    """When an answer was asked for, and when its first and last token came; in seconds of a monotonic clock."""

    asked: float
    first: float = 0.0
    last: float = 0.0
    tokens: int = 0

    def tick(self) -> None:
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.tokens += 1


class Service:
    """Holds one model. Every method takes the job first; see `chatapp.Job`."""

    _model: Model
    _template: Template

    def load(self, job: Job, path: str, size: Size) -> Iterator[Any]:
        """Load a model; emits Progress and then yields what it is, as a dict."""
        wrong = look(Path(path))
        if wrong:
            raise EngineError(wrong)
        shown = -1

        def progress(done: float) -> bool:
            nonlocal shown
            if int(done * 100) > shown:
                shown = int(done * 100)
                job.emit(Progress("Loading the model", shown, 100, "%"))
            return not job.cancelled

        self._model = Model(path, size, progress)
        self._held = Evaluated()
        self._ready()
        metadata = self._model.metadata()
        yield {"metadata": metadata, "context_length": self._model.context_length, **self._model.facts()}

    def _ready(self) -> None:
        model, metadata = self._model, self._model.metadata()
        controls = model.control_texts()
        source = metadata.get("tokenizer.chat_template")
        self._template = Template(source, model.token_text("bos"), model.token_text("eos"), controls)
        self._controls = [text.encode() for text in controls]
        self._bos = model.token_text("bos").encode()
        self._silent_start = False

    def count(self, job: Job, texts: Sequence[str]) -> list[int]:
        """How many tokens each text is."""
        return [len(self._model.tokenize(text.encode(), special=False)) for text in texts]

    def tokenize(self, job: Job, request: Request) -> list[str]:
        """The texts of the tokens a request's prompt is; a token that is part of a character is shown as U+FFFD."""
        tokens = self._tokens(self._template.render(request).text)
        return [self._model.piece(token).decode("utf-8", "replace") for token in tokens]

    def stream(self, job: Job, request: Request) -> Iterator[Event]:
        """Answer a request, event by event."""
        clock = _Clock(time.monotonic())
        self._model.stopped = lambda: job.cancelled
        prompt = self._template.render(request)
        tokens = self._tokens(prompt.text)
        room = self._model.context_length - len(tokens)
        if room < 1:
            raise EngineError(
                f"The prompt is {len(tokens):,} tokens and the model reads at most {self._model.context_length:,}: "
                "shorten the message or set a longer context_length."
            )
        kept = self._keep(tokens, fixed=request.sampling.seed is not None)
        yield from self._read(job, tokens, kept)
        reason: Reason = "stopped"
        if not job.cancelled:
            reason = yield from self._generate(
                job, request, tokens, min(room, request.sampling.max_tokens or room), clock
            )
        yield self._usage(prompt, tokens, kept, clock)
        yield Finished(reason)

    def _tokens(self, prompt: bytes) -> list[int]:
        model = self._model

        def tokenize(text: bytes, begin: bool) -> list[int]:
            # A template that writes the beginning-of-text token itself must not get a second one.
            begin = begin and not (self._bos and text.startswith(self._bos))
            self._silent_start = begin and model.adds_bos()
            return model.tokenize(text, special=True, begin=begin)

        return tokens_of(prompt, self._held, tokenize, model.is_control, self._controls)

    def _keep(self, tokens: Sequence[int], fixed: bool) -> int:
        """Cut the context down to what the prompt shares with it; at least the last token is left to evaluate."""
        kept = min(common(tokens, self._held.tokens), len(tokens) - 1)
        if fixed and kept < len(self._held.tokens):
            kept = self._held.last_step(kept)
        if kept < len(self._held.tokens) and not self._model.forget(kept):
            kept = 0
        self._held.cut(kept)
        return kept

    def _read(self, job: Job, tokens: Sequence[int], kept: int) -> Iterator[Event]:
        """Evaluate the prompt from `kept` on, in steps that can be stopped and seen."""
        step = self._model.batch
        for start in range(kept, len(tokens), step):
            if len(tokens) - kept > step:
                yield Progress("Reading", start - kept, len(tokens) - kept, "tokens")
            if not self._evaluate(tokens[start : start + step]) or job.cancelled:
                return

    def _evaluate(self, tokens: Sequence[int]) -> bool:
        if not self._model.evaluate(tokens):
            # An aborted step leaves part of itself in the context.
            if not self._model.forget(len(self._held.tokens)):
                self._held.cut(0)
            return False
        self._held.add(tokens, self._piece)
        return True

    def _piece(self, token: int) -> bytes:
        # The beginning-of-text token that tokenising adds stands nowhere in the prompt's text.
        return b"" if self._silent_start and not self._held.tokens else self._model.piece(token)

    def _generate(
        self, job: Job, request: Request, tokens: Sequence[int], limit: int, clock: _Clock
    ) -> Generator[Event, None, Reason]:
        sampler = Sampler(self._model, request.sampling, tokens)
        decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        stop = _StopText(request.sampling.stop)
        try:
            while clock.tokens < limit:
                token = sampler.draw()
                logprobs = sampler.logprobs(token)
                clock.tick()
                if self._model.is_end(token):
                    yield from _delta(stop.rest(), logprobs)
                    return "stop"
                yield from _delta(stop.feed(decode(self._model.piece(token))), logprobs)
                if stop.found:
                    return "stop"
                if job.cancelled or not self._evaluate([token]):
                    return "stopped"
            yield from _delta(stop.rest(), ())
            return "length"
        finally:
            sampler.close()

    def _usage(self, prompt: Prompt, tokens: Sequence[int], kept: int, clock: _Clock) -> Usage:
        sizes = [len(self._model.piece(token)) for token in tokens]
        ends, total = [], 0
        for size in sizes:
            total += size
            ends.append(total)
        # The markers before a message belong to it, those after the last one to the last.
        marks = [0, *(bisect_left(ends, end) + 1 for end in prompt.ends[:-1]), len(tokens)]
        return Usage(
            prompt_tokens=len(tokens),
            reused_tokens=kept,
            completion_tokens=clock.tokens,
            first_token_seconds=max(clock.first - clock.asked, 0.0),
            completion_seconds=clock.last - clock.first,
            context_length=self._model.context_length,
            spans=tuple(pairwise(marks)),
        )


def _delta(text: str, logprobs: Any) -> Iterator[Event]:
    if text or logprobs:
        yield TextDelta(text, logprobs)


class _StopText:
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
