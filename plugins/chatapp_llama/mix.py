"""Which adapters are laid over the model, with what scale, from which token of a prompt on.

A mix is what a token was or is to be evaluated under. Keys and values are only good for a prompt that wants them under
the same mix.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from chatapp import Adapter, EngineError

Key: TypeAlias = tuple[str, int, int]
"""A file as it was read: path, bytes, time of its last change in nanoseconds."""
Mix: TypeAlias = tuple[tuple[Key, float], ...]
"""Files and scales, in the order of the files; empty is the model by itself."""
LARGEST_SCALE = 10.0


@dataclass(frozen=True, slots=True)
class Laid:
    """An adapter in use; `invocation` are the token ids that switch it on, empty for an ordinary one."""

    name: str
    key: Key
    scale: float
    invocation: tuple[int, ...] = ()


class Runs:
    """A mix for each place in a row of tokens: pairs of the first place and the mix that holds from there on."""

    def __init__(self, runs: Iterable[tuple[int, Mix]] = ()) -> None:
        self.runs: list[tuple[int, Mix]] = [(0, ())]
        for place, mix in runs:
            self.begin(place, mix)

    @property
    def last(self) -> Mix:
        """The mix that holds at the end, and for what is written after it."""
        return self.runs[-1][1]

    def begin(self, place: int, mix: Mix) -> None:
        """Let `mix` hold from `place` on, which is not before the last such place."""
        if self.runs and self.runs[-1][0] == place:
            self.runs.pop()
        if not self.runs or self.runs[-1][1] != mix:
            self.runs.append((place, mix))

    def at(self, place: int) -> Mix:
        """The mix at a place."""
        return next(mix for first, mix in reversed(self.runs) if first <= place)

    def cut(self, count: int) -> None:
        """Forget what holds from place `count` on."""
        self.runs = [run for run in self.runs if run[0] < count] or [(0, ())]

    def agree(self, other: Runs, limit: int) -> int:
        """The first place at which the two differ, at most `limit`."""
        firsts = sorted({first for first, _ in (*self.runs, *other.runs) if first < limit})
        return next((place for place in firsts if self.at(place) != other.at(place)), limit)

    def portions(self, begin: int, end: int, size: int) -> Iterator[tuple[int, int, Mix]]:
        """The places from `begin` to `end` in portions of at most `size` that are each under one mix."""
        while begin < end:
            following = min((first for first, _ in self.runs if first > begin), default=end)
            stop = min(begin + size, following, end)
            yield begin, stop, self.at(begin)
            begin = stop


def starts(tokens: Sequence[int], laid: Sequence[Laid]) -> list[int | None]:
    """From which token of a prompt on each adapter is to be on; None where its invocation does not occur.

    An activated adapter begins at the first token of the last occurrence of its invocation, as PEFT trains it
    (peft.tuners.lora.variants.calculate_alora_offsets; a test compares the logits).
    """
    return [last_place(tokens, each.invocation) if each.invocation else 0 for each in laid]


def plan(laid: Sequence[Laid], begins: Sequence[int | None]) -> Runs:
    """The mix for each place, given where each adapter begins; None leaves it off."""
    places = sorted({0, *(begin for begin in begins if begin is not None)})
    pairs = list(zip(laid, begins, strict=True))
    return Runs(
        (place, tuple(sorted((each.key, each.scale) for each, begin in pairs if begin is not None and begin <= place)))
        for place in places
    )


def last_place(tokens: Sequence[int], wanted: Sequence[int]) -> int | None:
    """Where `wanted` begins for the last time; None where it nowhere stands."""
    places = range(len(tokens) - len(wanted), -1, -1)
    return next((place for place in places if list(tokens[place : place + len(wanted)]) == list(wanted)), None)


def check(adapters: Sequence[Adapter]) -> None:
    """Raise EngineError for adapters that cannot be laid on together."""
    names = [adapter.name for adapter in adapters]
    for adapter in adapters:
        if not adapter.path:
            raise EngineError(f"No plugin knows an adapter called {adapter.name}: `/lora` lists them.")
        if names.count(adapter.name) > 1:
            raise EngineError(f"{adapter.name} is laid over the model twice: name each adapter once.")
        if not math.isfinite(adapter.scale) or abs(adapter.scale) > LARGEST_SCALE:
            raise EngineError(
                f"The scale of {adapter.name} is {adapter.scale:g}: it must be a number from "
                f"-{LARGEST_SCALE:g} to {LARGEST_SCALE:g}."
            )


def key_of(adapter: Adapter) -> Key:
    """What says whether a file is still the one that was read; EngineError when there is none."""
    try:
        found = Path(adapter.path).stat()
    except OSError as error:
        why = error.strerror or str(error)
        raise EngineError(f"{adapter.name} cannot be read from {adapter.path} ({why}): add it again.") from error
    return adapter.path, found.st_size, found.st_mtime_ns
