"""Citations for models that forget them: each sentence of an uncited answer is traced to the passage it repeats."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence

from chatapp import Event, Finished, Source, TextDelta, Usage

LEAST = 0.5
"""Share of a sentence's telling words that a passage must have to be named as its source."""
FEWEST = 3
"""A sentence with fewer telling words says too little to be traced."""
_CITED = re.compile(r"\[\^?\d{1,3}[\],;–-]|【\d")
_SENTENCE_END = re.compile(r"(?<=[.!?。])(\s+)(?=\S)|(\n+)")


async def attributed(stream: AsyncIterator[Event], sources: Sequence[Source]) -> AsyncIterator[Event]:
    """Pass an answer on; when it ends without any citation, add the numbers of the passages that it repeats.

    They are added at the very end, for what has been shown cannot be changed. Nothing is added to an answer that no
    passage supports.
    """
    said = ""
    ended = False
    async for event in stream:
        if isinstance(event, TextDelta):
            said += event.text
        if isinstance(event, (Usage, Finished)) and not ended:
            ended = True
            numbers = [] if _CITED.search(said) or _is_cut(event) else supporting(said, sources)
            if numbers:
                yield TextDelta(" " + "".join(f"[{number}]" for number in numbers))
        yield event


def _is_cut(event: Event) -> bool:
    return isinstance(event, Finished) and event.reason != "stop"


def supporting(answer: str, sources: Sequence[Source]) -> list[int]:
    """The numbers of the passages that sentences of the answer repeat, in the order of the answer."""
    held = {source.number: _words(f"{source.title} {source.text}") for source in sources if source.number is not None}
    found: list[int] = []
    for sentence in _sentences(answer):
        words = _words(sentence)
        if len(words) < FEWEST or not held:
            continue
        shares = {number: len(words & mine) / len(words) for number, mine in held.items()}
        best = max(shares, key=lambda number: shares[number])
        if shares[best] >= LEAST and best not in found:
            found.append(best)
    return found


def _sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE_END.split(text) if part and part.strip()]


def _words(text: str) -> set[str]:
    """Telling words: long ones, and numbers."""
    return {word for word in re.findall(r"\w+", text.lower()) if len(word) > 3 or word.isdigit()}
