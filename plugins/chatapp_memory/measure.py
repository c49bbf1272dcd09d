"""What can be counted in a text: sentences, formality, lists, emoji. No model is needed."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_END = re.compile(r"[.!?…。！？]+(?=\s|$)|\n+")
_WORD = re.compile(r"\w+(?:['’]\w+)*")
_LIST = re.compile(r"^\s*(?:[-*+•]|\d+[.)])\s+\S", re.MULTILINE)
_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]")
_FORMAL = re.compile(
    r"\b(?:therefore|however|moreover|furthermore|hereby|regarding|sincerely|shall|thus|whereas|portanto|contudo|"
    r"ademais|mediante|outrossim|senhor|senhora)\b",
    re.IGNORECASE,
)
_CASUAL = re.compile(
    r"\b(?:\w+n['’]t|\w+['’](?:m|re|ll|ve)|gonna|wanna|yeah|hey|ok(?:ay)?|lol|stuff|kinda|né|pra|tá|cê|oi|tipo)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Features:
    """Counts of a text; `sentence_words` is the mean length of a sentence and `word_letters` of a word."""

    words: int
    sentence_words: float
    word_letters: float
    formal: int
    casual: int
    lists: int
    headings: int
    emoji: int
    exclamations: int
    questions: int

    def sentence(self) -> str:
        """The counts that tell a writer something, as one short line."""
        length = "short" if self.sentence_words < 11 else "long" if self.sentence_words > 22 else "medium"
        said = [f"{length} sentences (about {self.sentence_words:.0f} words)"]
        said += [name for holds, name in _TRAITS if holds(self)]
        said.append("lists" if self.lists >= 2 else "prose without lists")
        said.append("emoji" if self.emoji else "no emoji")
        return f"{', '.join(said).capitalize()}."


_TRAITS: list[tuple[Callable[[Features], bool], str]] = [
    (lambda each: each.formal > each.casual, "formal wording"),
    (lambda each: each.casual > each.formal, "casual wording with contractions"),
    (lambda each: each.word_letters > 5.6, "long words"),
    (lambda each: each.headings > 0, "headings"),
    (lambda each: each.exclamations * 40 > each.words, "exclamations"),
    (lambda each: each.questions * 40 > each.words, "questions to the reader"),
]


def measure(text: str) -> Features:
    """Count what there is in `text`."""
    words = _WORD.findall(text)
    sentences = [part for part in _END.split(text) if _WORD.search(part)]
    return Features(
        words=len(words),
        sentence_words=len(words) / max(len(sentences), 1),
        word_letters=sum(map(len, words)) / max(len(words), 1),
        formal=len(_FORMAL.findall(text)),
        casual=len(_CASUAL.findall(text)),
        lists=len(_LIST.findall(text)),
        headings=len(re.findall(r"^#{1,6} \S", text, re.MULTILINE)),
        emoji=len(_EMOJI.findall(text)),
        exclamations=text.count("!"),
        questions=text.count("?"),
    )
