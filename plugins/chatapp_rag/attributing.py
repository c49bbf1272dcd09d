"""Citations for models that forget them: each sentence of an uncited answer is traced to the passage it repeats."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence

from chatapp import Event, Finished, Source, TextDelta, Usage
from chatapp_rag.prompting import NOT_FOUND

LEAST = 0.5
"""Share of a sentence's telling words that a passage must have to be named as its source."""
FEWEST = 3
"""A sentence with fewer telling words is traced only where it stands in a passage as it is."""
_CITED = re.compile(r"\[\^?\d{1,3}[\],;–-]|【\d")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=\S)|(?<=[。！？])|\n+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]+")
"""Japanese and Chinese, which put no spaces between words."""


async def attributed(stream: AsyncIterator[Event], sources: Sequence[Source]) -> AsyncIterator[Event]:
    """Pass an answer on; when it ends without any citation, add the numbers of the passages that it repeats.

    They are added at the very end, for what has been shown cannot be changed. Nothing is added to an answer that no
    passage supports, that was cut off, or that says that there is none.
    """
    said = ""
    usage: Usage | None = None
    async for event in stream:
        if isinstance(event, TextDelta):
            said += event.text
        if isinstance(event, Usage):
            # How the answer ended comes after what it cost, and the numbers go before both.
            usage = event
            continue
        if isinstance(event, Finished):
            numbers = supporting(said, sources) if event.reason == "stop" and _wants(said) else []
            if numbers:
                yield TextDelta(" " + "".join(f"[{number}]" for number in numbers))
            if usage is not None:
                yield usage
            usage = None
        yield event
    if usage is not None:
        yield usage


def _wants(answer: str) -> bool:
    return not _CITED.search(answer) and NOT_FOUND not in answer


def supporting(answer: str, sources: Sequence[Source]) -> list[int]:
    """The numbers of the passages that sentences of the answer repeat, in the order of the answer."""
    held = {source.number: f"{source.title} {source.text}" for source in sources if source.number is not None}
    found = [_traced(sentence, held) for sentence in _SENTENCE_END.split(answer)]
    return list(dict.fromkeys(number for number in found if number is not None))


def _traced(sentence: str, held: dict[int, str]) -> int | None:
    """The number of the passage that a sentence repeats most, None when none has enough of it."""
    words = _words(sentence)
    if not words or not held:
        return None
    if len(words) < FEWEST:
        return next((number for number, text in held.items() if _plain(sentence) in _plain(text)), None)
    shares = {number: len(words & _words(text)) / len(words) for number, text in held.items()}
    best = max(shares, key=lambda number: shares[number])
    return best if shares[best] >= LEAST else None


def _plain(text: str) -> str:
    """The words in lower case with a space around each."""
    words = re.findall(r"\w+", text.lower())
    return f" {' '.join(words)} "


def _words(text: str) -> set[str]:
    """Telling words: long ones, and numbers; pairs of characters where words are not apart."""
    runs = _UNSPACED.findall(text)
    pairs = {run[at : at + 2] for run in runs for at in range(len(run) - 1)}
    spaced = re.findall(r"\w+", _UNSPACED.sub(" ", text).lower())
    return pairs | {word for word in spaced if len(word) > 3 or word.isdigit()}
