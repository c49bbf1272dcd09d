"""What an example and a set of examples are."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from chatapp import Message, Text

SEED = 0
HELD_OUT = 0.4
"""The share of a set that an evaluation asks about and shows no example of."""
ROWS_PER_LABEL = 3
"""With at least so many rows for each output, a set is taken to sort things, and is split label by label."""


@dataclass(frozen=True, slots=True)
class Example:
    """One pair; `place` is where it stands in its file, from 0: the line, or the row of a TOML file."""

    input: str
    output: str
    place: int = 0

    @property
    def key(self) -> str:
        """What it says, as 16 hexadecimal digits."""
        return hashlib.sha256(f"{self.input}\0{self.output}".encode()).hexdigest()[:16]

    def messages(self) -> tuple[Message, Message]:
        """The pair as a turn; the same each time, so that the engine need not read it again."""
        key = f"shot-{self.key}"
        return (
            Message("user", (Text(self.input),), f"{key}-in", 0.0),
            Message("assistant", (Text(self.output),), f"{key}-out", 0.0),
        )


@dataclass(frozen=True, slots=True)
class ExampleSet:
    """A set as its file has it; `problems` are sentences about the lines that were left out."""

    name: str
    path: Path
    examples: tuple[Example, ...]
    instruction: str = ""
    description: str = ""
    problems: tuple[str, ...] = ()
    bundled: bool = False

    @property
    def digest(self) -> str:
        """The content of the set as hexadecimal digits; the order counts."""
        text = "\0".join([self.instruction, *(each.key for each in self.examples)])
        return hashlib.sha256(text.encode()).hexdigest()


def spread(examples: Sequence[Example], order: Iterable[int] | None = None) -> list[int]:
    """Places of the examples, each output in turn: the first few show as many different outputs as there are."""
    groups: dict[str, list[int]] = {}
    for place in range(len(examples)) if order is None else order:
        groups.setdefault(examples[place].output, []).append(place)
    queues = list(groups.values())
    deepest = max((len(queue) for queue in queues), default=0)
    return [queue[row] for row in range(deepest) for queue in queues if row < len(queue)]


def split(examples: Sequence[Example], seed: int = SEED) -> tuple[list[Example], list[Example]]:
    """(held out, pool): the same two parts for each seed, every output in both where there are enough of it."""
    rng = random.Random(seed)
    groups: dict[str, list[int]] = {}
    labels = len({each.output for each in examples})
    for place, each in enumerate(examples):
        groups.setdefault(each.output if labels * ROWS_PER_LABEL <= len(examples) else "", []).append(place)
    held: list[int] = []
    pool: list[int] = []
    for group in groups.values():
        rng.shuffle(group)
        cut = min(round(len(group) * HELD_OUT), len(group) - 1)
        held += group[:cut]
        pool += group[cut:]
    return (
        [examples[place] for place in spread(examples, held)],
        [examples[place] for place in spread(examples, pool)],
    )
