"""From chats to batches of token ids, with what is to be learnt marked."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from chatapp import EngineError
from chatapp_lora.training.plan import Example
from chatapp_lora.training.rendering import Piece, Rendering
from chatapp_lora.training.vocabulary import Vocabulary

if TYPE_CHECKING:
    import torch

POOL = 8
"""Batches whose examples are sorted by length together: little padding, and still a mixed order."""


@dataclass(frozen=True, slots=True)
class Row:
    """A text to learn from: its token ids, and for each whether it is to be learnt (predicted)."""

    ids: tuple[int, ...]
    learnt: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows side by side: `ids` and `attention` of shape (rows, longest), padded on the right.

    `places` are the flat places of the hidden states that predict the tokens to be learnt, `targets` those tokens.
    """

    ids: torch.Tensor
    attention: torch.Tensor
    places: torch.Tensor
    targets: torch.Tensor


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of all chats, and how many of them had to be cut."""

    rows: tuple[Row, ...]
    cut: int


def rows(
    examples: Sequence[Example],
    rendering: Rendering,
    vocabulary: Vocabulary,
    longest: int,
    invocation: Sequence[int],
    report: Callable[[int], None],
) -> Rows:
    """The chats as rows of at most `longest` tokens; with `invocation`, one row for each answer.

    EngineError when the invocation does not occur before an answer. `report` is told how many chats are done.
    """
    found, cut = [], 0
    for number, example in enumerate(examples, 1):
        for pieces in rendering.pieces(example, last_only=bool(invocation)):
            row = _row(pieces, vocabulary)
            if len(row.ids) > longest:
                row, cut = _cut(row, longest), cut + 1
            _check_invocation(row, invocation)
            found.append(row)
        report(number)
    return Rows(tuple(found), cut)


def _row(pieces: Sequence[Piece], vocabulary: Vocabulary) -> Row:
    ids: list[int] = []
    learnt: list[bool] = []
    for piece in pieces:
        # Cut apart, as the engine does: the answer's first token never joins with the prompt's last.
        tokens = vocabulary.tokenize(piece.text, begin=not ids)
        ids += tokens
        learnt += [piece.learnt] * len(tokens)
    return Row(tuple(ids), tuple(learnt))


def _cut(row: Row, longest: int) -> Row:
    """A window on the row that has some of the answer's context and as much of the answer as fits."""
    start = max(0, min(len(row.ids) - longest, row.learnt.index(True) - longest // 2))
    return Row(row.ids[start : start + longest], row.learnt[start : start + longest])


def _check_invocation(row: Row, invocation: Sequence[int]) -> None:
    wanted, first = tuple(invocation), row.learnt.index(True)
    size = len(wanted)
    if wanted and not any(row.ids[start : start + size] == wanted for start in range(first - size + 1)):
        raise EngineError(
            "The text that switches the adapter on does not stand before the answer in this model's chats: choose "
            "another, or train an ordinary adapter."
        )


def order(lengths: Sequence[int], batch: int, seed: int) -> Iterator[list[int]]:
    """For ever, the rows of each step, `batch` of them (fewer at the end of a round): each round all, mixed anew.

    Rows of like length come together. Nothing but `seed` decides the order, so a run that goes on needs no more.
    """
    generator = random.Random(seed)
    while True:
        mixed = list(range(len(lengths)))
        generator.shuffle(mixed)
        pools = [mixed[start : start + POOL * batch] for start in range(0, len(mixed), POOL * batch)]
        found = []
        for pool in pools:
            pool.sort(key=lambda row: lengths[row])
            found += [pool[start : start + batch] for start in range(0, len(pool), batch)]
        generator.shuffle(found)
        yield from found


def batch_of(rows: Sequence[Row]) -> Batch:
    """The rows side by side, as tensors."""
    import torch

    width = max(len(row.ids) for row in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    attention = torch.zeros(len(rows), width, dtype=torch.long)
    places, targets = [], []
    for number, row in enumerate(rows):
        ids[number, : len(row.ids)] = torch.tensor(row.ids)
        attention[number, : len(row.ids)] = 1
        # The state at a token predicts the next one.
        learnt = [place for place, flag in enumerate(row.learnt) if flag and place]
        places += [number * width + place - 1 for place in learnt]
        targets += [row.ids[place] for place in learnt]
    return Batch(ids, attention, torch.tensor(places), torch.tensor(targets))
