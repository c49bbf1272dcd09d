"""Drawing the next token: llama.cpp's sampler chain, in the order llama.cpp uses itself."""

from __future__ import annotations

import ctypes
import json
import secrets
from collections.abc import Sequence
from typing import Any

import llama_cpp as lib
import numpy as np

from chatapp import EngineError, Sampling, TokenLogprob
from chatapp_llama.native import Model

PENALTY_WINDOW = 64
"""How many of the last tokens the repeat penalty looks at (llama.cpp's default)."""
LIKELIEST = 512
"""Tokens that are looked at first where the one drawn does not fit a grammar."""
DEFAULTS = Sampling(temperature=0.7, top_p=0.95, top_k=40, min_p=0.05, repeat_penalty=1.0)


class Sampler:
    """Draws tokens for one answer; EngineError for a grammar or schema that does not parse."""

    def __init__(self, model: Model, sampling: Sampling, before: Sequence[int]) -> None:
        how = sampling.over(DEFAULTS)
        self._model = model
        self._chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        self._grammar = self._open_grammar(how)
        self._logprobs = min(how.logprobs, model.vocab_size)
        for link in self._links(how):
            lib.llama_sampler_chain_add(self._chain, link)
        for token in before[-PENALTY_WINDOW:]:
            lib.llama_sampler_accept(self._chain, token)

    def _links(self, how: Sampling) -> list[Any]:
        links = []
        repeat, presence = how.repeat_penalty or 1.0, how.presence_penalty or 0.0
        if (repeat, presence) != (1.0, 0.0):
            size = self._model.vocab_size
            links.append(lib.llama_sampler_init_penalties(size, PENALTY_WINDOW, repeat, 0.0, presence))
        if not how.temperature:
            return [*links, lib.llama_sampler_init_greedy()]
        seed = secrets.randbits(31) if how.seed is None else how.seed
        return [
            *links,
            lib.llama_sampler_init_top_k(how.top_k or 0),
            lib.llama_sampler_init_top_p(how.top_p if how.top_p is not None else 1.0, 1),
            lib.llama_sampler_init_min_p(how.min_p or 0.0, 1),
            lib.llama_sampler_init_temp(how.temperature),
            lib.llama_sampler_init_dist(seed),
        ]

    def _open_grammar(self, how: Sampling) -> Any:
        grammar = how.grammar
        if how.json_schema is not None:
            from llama_cpp.llama_grammar import json_schema_to_gbnf

            try:
                grammar = json_schema_to_gbnf(json.dumps(dict(how.json_schema)))
            except (LookupError, TypeError, ValueError, AttributeError, AssertionError, RecursionError) as error:
                why = str(error) or "it uses what llama.cpp does not know"
                raise EngineError(f"This JSON schema cannot be made into a grammar: {why}.") from error
        return self._parsed(grammar) if grammar else None

    def _parsed(self, grammar: str) -> Any:
        opened = lib.llama_sampler_init_grammar(self._model.vocab, grammar.encode(), b"root")
        if not opened:
            raise EngineError("This grammar does not parse as GBNF; it needs a rule named root.")
        return opened

    def constrain(self, grammar: str) -> None:
        """From now on draw only what this grammar (GBNF) allows, in place of an earlier one."""
        opened = self._parsed(grammar)
        if self._grammar is not None:
            lib.llama_sampler_free(self._grammar)
        self._grammar = opened

    def draw(self, held_back: Sequence[int] = (), by: float = 0.0) -> int:
        """The next token, after the last one evaluated; the logits of those `held_back` are lowered `by` so much."""
        if held_back:
            np.ctypeslib.as_array(self._model.logits(), shape=(self._model.vocab_size,))[list(held_back)] -= by
        if self._grammar is None:
            # This call also tells the chain of its choice.
            return int(lib.llama_sampler_sample(self._chain, self._model.context, -1))
        token = self._choose(self._candidates(self._model.vocab_size))
        if not self._fits(token):
            token = self._fitting()
        lib.llama_sampler_accept(self._chain, token)
        if not self._model.is_end(token):
            lib.llama_sampler_accept(self._grammar, token)
        return token

    def _fitting(self) -> int:
        """Draw from what the grammar allows, among the likeliest tokens if one of them fits: all take 20 to 80 ms."""
        for count in (min(LIKELIEST, self._model.vocab_size), self._model.vocab_size):
            candidates = self._candidates(count)
            lib.llama_sampler_apply(self._grammar, ctypes.byref(candidates))
            if (self._held["logit"] > -np.inf).any():
                break
        return self._choose(candidates)

    def _choose(self, candidates: Any) -> int:
        lib.llama_sampler_apply(self._chain, ctypes.byref(candidates))
        return int(candidates.data[candidates.selected].id)

    def _candidates(self, count: int) -> Any:
        size = self._model.vocab_size
        logits = np.ctypeslib.as_array(self._model.logits(), shape=(size,))
        data = np.zeros(count, dtype=[("id", np.int32), ("logit", np.float32), ("p", np.float32)])
        data["id"] = np.arange(size) if count == size else np.argpartition(logits, -count)[-count:]
        data["logit"] = logits[data["id"]]
        self._held = data  # llama.cpp sees only a pointer; NumPy must not free it
        pointer = data.ctypes.data_as(ctypes.POINTER(lib.llama_token_data))
        return lib.llama_token_data_array(pointer, count, -1, False)

    def _fits(self, token: int) -> bool:
        # Asking the grammar about one token is far cheaper than about the whole vocabulary, and mostly enough.
        one = (lib.llama_token_data * 1)(lib.llama_token_data(token, 0.0, 0.0))
        array = lib.llama_token_data_array(one, 1, -1, False)
        lib.llama_sampler_apply(self._grammar, ctypes.byref(array))
        return bool(one[0].logit != float("-inf"))

    def logprobs(self, token: int) -> tuple[TokenLogprob, ...]:
        """The drawn token's natural log probability under the plain softmax, with the likeliest alternatives."""
        if not self._logprobs:
            return ()
        size = self._model.vocab_size
        logits = np.ctypeslib.as_array(self._model.logits(), shape=(size,))
        # A full sort of the vocabulary would take longer than a small model takes for the token.
        best = np.argpartition(logits, -self._logprobs)[-self._logprobs :]
        best = best[np.argsort(logits[best])[::-1]]
        highest = logits[best[0]]
        total = float(highest) + float(np.log(np.exp(logits - highest).sum(dtype=np.float64)))
        text = self._model.piece(token).decode("utf-8", "replace")
        top = tuple(
            (self._model.piece(int(each)).decode("utf-8", "replace"), float(logits[each]) - total) for each in best
        )
        return (TokenLogprob(text, float(logits[token]) - total, top),)

    def close(self) -> None:
        """Give the chain and the grammar back to the library."""
        lib.llama_sampler_free(self._chain)
        if self._grammar is not None:
            lib.llama_sampler_free(self._grammar)
