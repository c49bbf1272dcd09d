"""Which passage a sentence repeats: how citations are found for sentences without, and checked in those with."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from chatapp import Source

LEAST = 0.5
"""Share of a sentence's telling words that a passage must have to be named as its source."""
CLEARLY = 0.2
"""By how much more than the passage that is cited another must have them to be cited in its place."""
FEWEST = 3
"""A sentence with fewer telling words is traced only where it stands in a passage as it is."""
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\S)|(?<=[。！？])|\n+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]+")
"""Japanese and Chinese, which put no spaces between words."""


def readable(sources: Sequence[Source]) -> dict[int, str]:
    """What the passages say, by number."""
    return {source.number: f"{source.title} {source.text}" for source in sources if source.number is not None}


def supporting(answer: str, held: Mapping[int, str]) -> list[int]:
    """The numbers of the passages that sentences of the answer repeat, in the order of the answer."""
    found = [traced(sentence, held) for sentence in sentences(answer)]
    return list(dict.fromkeys(number for number in found if number is not None))


def sentences(text: str) -> list[str]:
    """The sentences and lines of a text."""
    return [part for part in _SENTENCE_END.split(text) if part.strip()]


def traced(sentence: str, held: Mapping[int, str]) -> int | None:
    """The number of the passage that a sentence repeats most, None when none has enough of it."""
    words = _words(sentence)
    if not words or not held:
        return None
    if len(words) < FEWEST:
        return next((number for number, text in held.items() if _says(text, sentence)), None)
    best = max(held, key=lambda number: _share(words, held[number]))
    return best if _share(words, held[best]) >= LEAST else None


def checked(number: int, sentence: str, held: Mapping[int, str]) -> int:
    """The passage to cite for a sentence that cites passage `number`: another one if that clearly says it instead."""
    best = traced(sentence, held)
    if best is None or number not in held or best == number:
        return number
    words = _words(sentence)
    if len(words) < FEWEST:
        return number if _says(held[number], sentence) else best
    return best if _share(words, held[best]) - _share(words, held[number]) >= CLEARLY else number


def _says(text: str, phrase: str) -> bool:
    return f" {_plain(phrase)} " in f" {_plain(text)} "


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _share(words: set[str], text: str) -> float:
    return len(words & _words(text)) / len(words)


def _words(text: str) -> set[str]:
    """Telling words: long ones, and numbers; pairs of characters where words are not apart."""
    runs = _UNSPACED.findall(text)
    pairs = {run[at : at + 2] for run in runs for at in range(len(run) - 1)}
    spaced = re.findall(r"\w+", _UNSPACED.sub(" ", text).lower())
    return pairs | {word for word in spaced if len(word) > 3 or word.isdigit()}
