"""The service in the child process: loads a GGUF and answers requests with it."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from chatapp import Adapter, AdapterFacts, EngineError, Event, Finished, Job, Notice, Progress, Reason, Request
from chatapp_llama.answering import Clock, Writer, usage
from chatapp_llama.calls import calls_of
from chatapp_llama.failures import look
from chatapp_llama.mix import Laid, plan, starts
from chatapp_llama.native import Model
from chatapp_llama.reading import Ahead, Reading
from chatapp_llama.size import Size
from chatapp_llama.template import Prompt, Template


class Service:
    """Holds one model. Every method takes the job first; see `chatapp.Job`."""

    _template: Template

    def __init__(self) -> None:
        self._reading: Reading | None = None
        self._laid: tuple[Laid, ...] = ()

    def load(self, job: Job, path: str, size: Size) -> Iterator[Any]:
        """Load a model; emits Progress and then yields what it is, as a dict."""
        wrong = look(Path(path))
        if wrong:
            raise EngineError(wrong)
        self._close()
        shown = -1

        def progress(done: float) -> bool:
            nonlocal shown
            if int(done * 100) > shown:
                shown = int(done * 100)
                job.emit(Progress("Loading the model", shown, 100, "%"))
            return not job.cancelled

        model = Model(path, size, progress)
        metadata = model.metadata()
        source = metadata.get("tokenizer.chat_template")
        self._template = Template(source, model.token_text("bos"), model.token_text("eos"), model.control_texts())
        self._reading = Reading(model, Path(path), size.aside)
        yield {"metadata": metadata, "context_length": model.context_length, **model.facts()}

    def _close(self) -> None:
        if self._reading is not None:
            self._reading.adapters.close()
            self._reading.model.close()
        self._reading, self._laid = None, ()

    def _begin(self, job: Job) -> Reading:
        """The model's context, for work that stops with this job."""
        assert self._reading is not None
        self._reading.model.stopped = lambda: job.cancelled
        return self._reading

    def count(self, job: Job, texts: Sequence[str]) -> list[int]:
        """How many tokens each text is."""
        model = self._begin(job).model
        return [len(model.tokenize(text.encode(), special=False)) for text in texts]

    def tokenize(self, job: Job, request: Request) -> list[str]:
        """The texts of the tokens a request's prompt is; a token that is part of a character is shown as U+FFFD."""
        reading = self._begin(job)
        tokens = reading.tokens(self._template.render(request).text)
        return [reading.model.piece(token).decode("utf-8", "replace") for token in tokens]

    def examine(self, job: Job, adapter: Adapter) -> AdapterFacts:
        """What an adapter is; EngineError when it cannot be used. It stays loaded for a while."""
        adapters = self._begin(job).adapters
        _, facts = adapters.take(adapter)
        adapters.forget(self._laid)
        return facts

    def adapt(self, job: Job, wanted: Sequence[Adapter]) -> None:
        """Lay these adapters over the model, and no others."""
        reading = self._begin(job)
        laid = tuple(reading.adapters.take(adapter)[0] for adapter in wanted)
        if _ordinary(laid) != _ordinary(self._laid):
            # What would be read ahead was meant for a mix that nobody asks for any more.
            reading.ahead = None
        self._laid = laid
        reading.adapters.forget(laid)

    def settle(self, job: Job) -> None:
        """Read again what the last answer left under a mix that later prompts do not want it under."""
        self._begin(job).settle(job)

    def stream(self, job: Job, request: Request) -> Iterator[Event]:
        """Answer a request, event by event."""
        clock = Clock(time.monotonic())
        reading = self._begin(job)
        prompt = self._template.render(request)
        reading.turn_to(prompt.text)
        tokens = reading.tokens(prompt.text)
        room = reading.model.context_length - len(tokens)
        if room < 1:
            raise EngineError(
                f"The prompt is {len(tokens):,} tokens and the model reads at most {reading.model.context_length:,}: "
                "shorten the message or set a longer context_length."
            )
        begins = starts(tokens, self._laid)
        yield from _left_off(reading, self._laid, begins)
        mixes = plan(self._laid, begins)
        kept = reading.keep(tokens, mixes, fixed=request.sampling.seed is not None)
        try:
            yield from reading.read(job, tokens, mixes, kept)
            reason: Reason = "stopped"
            if not job.cancelled:
                calls = calls_of(self._template.form, request)
                limit = min(room - calls.room, request.sampling.max_tokens or room)
                writer = Writer(job, reading, request.sampling, tokens, mixes.last, clock, calls)
                reason = yield from writer.write(limit)
            yield usage(reading, prompt, tokens, kept, clock)
            yield Finished(reason)
        finally:
            self._look_ahead(reading, tokens, begins, _turn(reading, prompt, tokens, request.continue_last))

    def _look_ahead(self, reading: Reading, tokens: Sequence[int], begins: Sequence[int | None], turn: int) -> None:
        """Note what the next prompt will begin with, where that is not what is held.

        It repeats this prompt and its answer, and begins its own answer after them: an adapter that was switched on by
        what begins an answer, from token `turn` on, is to be on from there only.
        """
        later = [
            None if each.invocation and begin is not None and begin >= turn else begin
            for each, begin in zip(self._laid, begins, strict=True)
        ]
        if later != list(begins):
            reading.ahead = Ahead(tuple(reading.held.tokens), plan(self._laid, later))


def _ordinary(laid: Sequence[Laid]) -> set[Any]:
    return {(each.key, each.scale) for each in laid if not each.invocation}


def _left_off(reading: Reading, laid: Sequence[Laid], begins: Sequence[int | None]) -> Iterator[Notice]:
    for each, begin in zip(laid, begins, strict=True):
        if begin is None:
            text = b"".join(reading.model.piece(token) for token in each.invocation).decode("utf-8", "replace")
            yield Notice(f"{each.name} stays off: it is switched on by the text {text!r}, which this prompt has not.")


def _turn(reading: Reading, prompt: Prompt, tokens: Sequence[int], begun: bool) -> int:
    """The token from which on the prompt is the beginning of the answer; `begun` when that is its last message."""
    ends = prompt.ends[:-1] if begun else prompt.ends
    places = list(accumulate(len(reading.model.piece(token)) for token in tokens))
    return bisect_left(places, ends[-1]) + 1 if ends else 0
