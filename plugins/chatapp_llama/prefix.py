"""What the context holds, and how much of it a new prompt can keep.

Comparing tokens alone is not enough: an answer's own tokens need not be those its text would be cut into, so the next
prompt would be read again from the first such place. Here the prompt's text is compared with the text of the evaluated
tokens, and only the rest is cut anew, from a place where cutting by itself gives what cutting the whole would give:
beside a control token.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from chatapp_llama.mix import Mix, Runs


class Evaluated:
    """The tokens in the context, their text, the mix each was read under, and which began a step of evaluation."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.text = bytearray()
        self.ends: list[int] = []
        self.steps: set[int] = {0}
        self.mixes = Runs()

    def add(self, tokens: Sequence[int], piece: Callable[[int], bytes], mix: Mix = ()) -> None:
        """Note tokens that were evaluated together."""
        self.steps.add(len(self.tokens))
        self.mixes.begin(len(self.tokens), mix)
        for token in tokens:
            self.text += piece(token)
            self.tokens.append(token)
            self.ends.append(len(self.text))

    def cut(self, count: int) -> None:
        """Keep only the first `count` tokens."""
        del self.tokens[count:], self.ends[count:]
        del self.text[self.ends[-1] if self.ends else 0 :]
        self.steps = {step for step in self.steps if step <= count}
        self.mixes.cut(count)

    def copy(self) -> Evaluated:
        """The same, to be changed by itself."""
        return deepcopy(self)

    def count(self, length: int) -> int:
        """How many tokens stand wholly within the first `length` bytes of the text."""
        return bisect_right(self.ends, length)

    def good_for(self, tokens: Sequence[int], mixes: Runs) -> int:
        """How many leading tokens of a prompt are held, each read under the mix that the prompt wants it under."""
        return self.mixes.agree(mixes, common(tokens, self.tokens))

    def last_step(self, count: int) -> int:
        """The latest step of evaluation that began at or before `count`.

        Reading the same tokens in other portions gives sums that differ in their last bits. With a fixed seed a prompt
        is therefore read again in the portions it was read in before.
        """
        return max(step for step in (*self.steps, 0) if step <= count)


def tokens_of(
    prompt: bytes,
    held: Evaluated,
    tokenize: Callable[[bytes, bool], list[int]],
    is_control: Callable[[int], bool],
    controls: Sequence[bytes],
) -> list[int]:
    """The prompt's tokens, the evaluated ones wherever their text still stands.

    `tokenize` takes text and whether it is the prompt's beginning; `controls` are the texts of control tokens.
    """
    same = len(os.path.commonprefix([bytes(held.text), prompt]))  # noqa: RUF071 - bytes are what is meant
    count = held.count(same)
    while count and not _safe(prompt, held, count, is_control, controls):
        count -= 1
    rest = prompt[held.ends[count - 1] if count else 0 :]
    return held.tokens[:count] + (tokenize(rest, count == 0) if rest else [])


def _safe(
    prompt: bytes, held: Evaluated, count: int, is_control: Callable[[int], bool], controls: Sequence[bytes]
) -> bool:
    end = held.ends[count - 1]
    return end == len(prompt) or is_control(held.tokens[count - 1]) or prompt.startswith(tuple(controls), end)


def common(left: Sequence[Any], right: Sequence[Any]) -> int:
    """How many leading tokens two prompts share, or characters two texts."""
    limit = min(len(left), len(right))
    return next((place for place in range(limit) if left[place] != right[place]), limit)
