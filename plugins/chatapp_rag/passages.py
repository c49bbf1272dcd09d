"""From the hits of a search to passages to answer from: no repetitions, neighbours joined, within a budget."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chatapp import Source
from chatapp_rag.collection import Hit
from chatapp_rag.documents import Chunk

SHINGLE = 5
"""Words in a row that are compared to tell near-duplicates (Broder 1997, "On the resemblance of documents")."""
SAME = 0.8
"""Share of the shorter passage's shingles from which on it says nothing new."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Neighbouring chunks of one file as one text; `hit` is the best of them, `first` and `last` their ordinals."""

    hit: Hit
    text: str
    first: int
    last: int
    last_line: int | None

    @property
    def path(self) -> str:
        """The file it is in, the first of several equal ones."""
        return self.hit.paths[0]

    @property
    def locator(self) -> str:
        """``page 3``, ``lines 10-42``; empty when that is unknown."""
        return Chunk("", "", self.hit.page, self.hit.first_line, self.last_line).locator

    @property
    def name(self) -> str:
        """The file's name and the place in it, for people."""
        return f"{Path(self.path).name}, {self.locator}" if self.locator else Path(self.path).name

    def source(self, number: int, before: str = "", after: str = "") -> Source:
        """The passage as the part of an answer that cites it."""
        title = f"{Path(self.path).name}: {self.hit.heading}" if self.hit.heading else Path(self.path).name
        return Source(title, self.text, self.path, self.locator, number, self.hit.similarity, before, after)


def distinct(hits: Iterable[Hit]) -> list[Hit]:
    """The hits without those that repeat a better one almost word for word."""
    kept: list[Hit] = []
    known: list[frozenset[str]] = []
    for hit in hits:
        mine = _shingles(hit.text)
        if not any(_overlap(mine, other) >= SAME for other in known):
            kept.append(hit)
            known.append(mine)
    return kept


def _shingles(text: str) -> frozenset[str]:
    words = re.findall(r"\w+", text.lower())
    return frozenset(" ".join(words[at : at + SHINGLE]) for at in range(max(len(words) - SHINGLE + 1, 1)))


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / min(len(one), len(other))


def joined(hits: Sequence[Hit]) -> list[Passage]:
    """Chunks that follow one another in a file as one passage, at the place of the best of them."""
    passages: list[Passage] = []
    for hit in hits:
        passage = Passage(hit, hit.text, hit.ordinal, hit.ordinal, hit.last_line)
        place = len(passages)
        # A chunk may close the gap between two passages, so what has grown is compared again.
        while (other := next((each for each in passages if _adjoin(each, passage)), None)) is not None:
            place = min(place, passages.index(other))
            passages.remove(other)
            passage = _merge(other, passage)
        passages.insert(place, passage)
    return passages


def _adjoin(one: Passage, other: Passage) -> bool:
    same = one.hit.digest == other.hit.digest and one.hit.heading == other.hit.heading
    return same and one.hit.page == other.hit.page and (one.last + 1 == other.first or other.last + 1 == one.first)


def _merge(one: Passage, other: Passage) -> Passage:
    early, late = (one, other) if one.first < other.first else (other, one)
    hit = replace(one.hit, first_line=early.hit.first_line)
    return Passage(hit, f"{early.text}\n{late.text}", early.first, late.last, late.last_line)


def fitting(hits: Sequence[Hit], costs: Sequence[int], budget: int) -> list[Hit]:
    """The hits in order as far as they fit `budget` tokens; one that is too long makes room for shorter ones."""
    chosen = []
    for hit, cost in zip(hits, costs, strict=True):
        if cost <= budget:
            chosen.append(hit)
            budget -= cost
    return chosen
