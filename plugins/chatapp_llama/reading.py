"""What the context holds, and reading more into it: each token under the mix of adapters it is wanted under."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chatapp import EngineError, Job, Progress
from chatapp_llama.adapters import Adapters
from chatapp_llama.aside import Aside
from chatapp_llama.mix import Mix, Runs
from chatapp_llama.native import Model
from chatapp_llama.prefix import Evaluated, common, tokens_of

PROBE = b"The answer to the question is:"
PROBE_TOKENS = 4
"""The first token sees only itself, so a change of queries and keys shows from the second on."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """What the next prompt is expected to begin with, and the mixes it will want that under."""

    tokens: tuple[int, ...]
    mixes: Runs


class Reading:
    """The model's context and adapters, with what was read so far."""

    def __init__(self, model: Model, path: Path, aside: int = 0) -> None:
        self.model = model
        self.adapters = Adapters(model, path, self._probe)
        self.held = Evaluated()
        self.ahead: Ahead | None = None
        self._aside = Aside(model, aside)
        self._controls = [text.encode() for text in model.control_texts()]
        self._bos = model.token_text("bos").encode()
        self._silent_start = False

    def turn_to(self, prompt: bytes) -> None:
        """Go on from what was read of this prompt, also when another was read since; that one is put aside."""
        self.held = self._aside.swap(self.held, prompt)
        self.ahead = None

    def tokens(self, prompt: bytes) -> list[int]:
        """The prompt's tokens, the held ones wherever their text still stands."""
        model = self.model

        def tokenize(text: bytes, begin: bool) -> list[int]:
            # A template that writes the beginning-of-text token itself must not get a second one.
            begin = begin and not (self._bos and text.startswith(self._bos))
            self._silent_start = begin and model.adds_bos()
            return model.tokenize(text, special=True, begin=begin)

        return tokens_of(prompt, self.held, tokenize, model.is_control, self._controls)

    def keep(self, tokens: Sequence[int], mixes: Runs, fixed: bool) -> int:
        """Cut the context down to what the prompt can use of it; at least the last token is left to evaluate.

        `fixed` keeps whole steps of evaluation only, so that the same prompt gives the same numbers again.
        """
        kept = min(self.held.good_for(tokens, mixes), len(tokens) - 1)
        if fixed and kept < len(self.held.tokens):
            kept = self.held.last_step(kept)
        return self._cut(kept)

    def read(self, job: Job, tokens: Sequence[int], mixes: Runs, kept: int) -> Iterator[Progress]:
        """Evaluate a prompt from `kept` on, in steps that can be stopped and seen."""
        total = len(tokens) - kept
        for begin, end, mix in mixes.portions(kept, len(tokens), self.model.batch):
            if total > self.model.batch:
                yield Progress("Reading", begin - kept, total, "tokens")
            if not self.evaluate(tokens[begin:end], mix) or job.cancelled:
                return

    def evaluate(self, tokens: Sequence[int], mix: Mix) -> bool:
        """Read at most one step's tokens after what is held; False when that was stopped, and then none was."""
        self.adapters.lay(mix)
        if not self.model.evaluate(tokens):
            # An aborted step leaves part of itself in the context.
            self._drop(len(self.held.tokens))
            return False
        self.held.add(tokens, self._piece, mix)
        return True

    def rewrite(self, text: bytes, since: int, mix: Mix) -> int | None:
        """Make `text` of what is held after the first `since` tokens; how many tokens it is. None when stopped."""
        held = self.held
        begin = held.ends[since - 1]
        same = begin + common(held.text[begin:], text)
        count = max(bisect_right(held.ends, same), since)
        new = self.model.tokenize(text[held.ends[count - 1] - begin :], special=True)
        # Without a new token the last one is read again, as what comes next is drawn from its numbers.
        wanted = [*held.tokens[:count], *new]
        kept = self._cut(min(count, len(wanted) - 1))
        for place in range(kept, len(wanted), self.model.batch):
            if not self.evaluate(wanted[place : place + self.model.batch], mix):
                return None
        return len(wanted) - since

    def settle(self, job: Job) -> None:
        """Read again what the next prompt will want under another mix, until it is done or the job is cancelled."""
        if self.ahead is None:
            return
        tokens, mixes = self.ahead.tokens, self.ahead.mixes
        kept = self._cut(self.held.good_for(tokens, mixes))
        for _ in self.read(job, tokens, mixes, kept):
            pass

    def logits(self) -> Any:
        """The last token's logits, in the library's own memory."""
        return np.ctypeslib.as_array(self.model.logits(), shape=(self.model.vocab_size,))

    def check(self) -> None:
        """Raise EngineError when the last logits are not finite, and forget all: it would spoil what follows."""
        if not np.isfinite(self.logits()).all():
            self._clear()
            raise EngineError("The adapters make the model's numbers infinite: lower their scales, or leave one out.")

    def _clear(self) -> None:
        self.model.clear()
        self.held.cut(0)

    def _cut(self, count: int) -> int:
        """Keep only the first `count` tokens of what is held, if that can be; how many are kept."""
        return self._drop(count) if count < len(self.held.tokens) else count

    def _drop(self, count: int) -> int:
        if not self.model.forget(count):
            # The architecture cannot forget a part only.
            count = 0
        self.held.cut(count)
        return count

    def _piece(self, token: int) -> bytes:
        # The beginning-of-text token that tokenising adds stands nowhere in the prompt's text.
        return b"" if self._silent_start and not self.held.tokens else self.model.piece(token)

    def _probe(self, switch: Callable[[bool], None]) -> None:
        """Raise EngineError unless the adapter that `switch` puts on and off changes the model's numbers sensibly."""
        few = self.model.tokenize(PROBE, special=False)[:PROBE_TOKENS] or [0]
        place = self._cut(min(len(self.held.tokens), self.model.context_length - len(few)))
        switch(False)
        off = self._tried(few)
        if len(self.held.tokens) < place:
            # All was forgotten with the few: the two must be read at the same place to be compared.
            off = self._tried(few)
        switch(True)
        on = self._tried(few)
        if not np.isfinite(on).all():
            self._clear()
            raise EngineError("makes the model's numbers infinite: train it anew, or choose another.")
        if np.array_equal(on, off):
            raise EngineError("changes nothing in the model's answers: train it, or choose another.")

    def _tried(self, tokens: Sequence[int]) -> Any:
        """The logits after these tokens, which are forgotten again."""
        done = self.model.evaluate(tokens)
        logits = self.logits().copy() if done else None
        self._drop(len(self.held.tokens))
        if not done:
            raise EngineError("was not tried to the end, as it was stopped: try again.")
        return logits
