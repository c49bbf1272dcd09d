"""Prompts that were evaluated and put aside: two conversations in turns do not read each other's prompts again.

llama.cpp gives a sequence's state as bytes, some 12 kB a token for a model of 0.5B parameters and 28 kB for one of
1.5B; writing and reading them takes milliseconds where reading the prompt again takes seconds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from chatapp_llama.native import Model
from chatapp_llama.prefix import Evaluated

WORTH = 64
"""Tokens that must be lost, or saved, for a state to be put aside or taken back: fewer are read in a second or so."""


@dataclass(frozen=True, slots=True)
class State:
    """What a context held: the library's bytes, and what they are of."""

    held: Evaluated
    data: bytes


class Aside:
    """The states that were put aside, the latest last; at most `room` bytes of them, the oldest go first."""

    def __init__(self, model: Model, room: int) -> None:
        self._model = model
        self._room = room
        self._states: list[State] = []

    def swap(self, held: Evaluated, prompt: bytes) -> Evaluated:
        """What to go on from for this prompt: what is held, or a state put aside that has more of it.

        What is held is put aside where the prompt goes on without much of it.
        """
        if not self._room:
            return held
        shared = _shared(held, prompt)
        best = max(self._states, key=lambda state: _shared(state.held, prompt), default=None)
        better = best is not None and _shared(best.held, prompt) >= shared + WORTH
        if len(held.tokens) - shared >= WORTH:
            self._put(held.copy())
        if best is None or not better:
            return held
        # The memory behind a state is not shared with it: it stays for whoever goes on from the same place.
        return best.held.copy() if self._model.restore(best.data) else self._lost(held)

    def _put(self, held: Evaluated) -> None:
        # A state that this one goes on from has nothing that this one has not.
        self._states = [each for each in self._states if not held.text.startswith(each.held.text)]
        self._states.append(State(held, self._model.state()))
        while sum(len(each.data) for each in self._states) > self._room:
            del self._states[0]

    def _lost(self, held: Evaluated) -> Evaluated:
        self._model.clear()
        held.cut(0)
        return held


def _shared(held: Evaluated, prompt: bytes) -> int:
    """How many of the held tokens a prompt begins with, by their text."""
    same = len(os.path.commonprefix([bytes(held.text), prompt]))  # noqa: RUF071 - bytes are what is meant
    return held.count(same)
