"""Final answers: what two samples must share to agree, and the number that a word problem's answer states."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation

NUMBER = re.compile(r"(?<![\w.])[-−]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?<=\d)(?!\d)")
"""A number with or without thousands separated by commas, a decimal fraction, a sign."""
SHORT = 12
"""Words up to which an answer with one number in it is taken to be that number."""

_BOXED = re.compile(r"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}")
_STRONG = re.compile(r"\*\*([^*\n]+)\*\*")
_ARTICLE = re.compile(r"\b(the|a|an)\b")


def numbers(text: str) -> list[Decimal]:
    """The numbers in a text, in order."""
    found = []
    # LaTeX writes \$ and \, and {,} where people write $ and a comma.
    plain = text.replace("{,}", ",").replace("\\,", "").replace("\\$", "$").replace("−", "-")
    for match in NUMBER.finditer(re.sub(r"(?<=\d)-(?=\d)", " ", plain)):
        try:
            found.append(Decimal(match[0].replace(",", "")))
        except InvalidOperation:
            continue
    return found


def final_number(answer: str, question: str = "", *, last: bool = True) -> Decimal | None:
    """The number that the answer states, None when it has none.

    What is boxed counts first; else the last line with a number (without `last` the first: an answer after a marker may
    go on to explain itself), and in it what is in bold, then what follows the last sign of equality. Of several numbers
    left, the last one that is not repeated from the question: "50 miles in 7 hours" answers how far with 50.
    """
    lines = [line for line in answer.splitlines() if numbers(line)]
    boxed = [text for text in _BOXED.findall(answer) if numbers(text)]
    if not lines:
        return None
    part = boxed[-1] if boxed else lines[-1 if last else 0]
    strong = [text for text in _STRONG.findall(part) if numbers(text)]
    part = strong[-1] if strong else part
    found = numbers(part.rpartition("=")[2]) or numbers(part)
    asked = set(numbers(question))
    return ([number for number in found if number not in asked] or found)[-1]


def answer_key(answer: str) -> str:
    """What answers that mean the same share: the number of a short answer (1,200.00 is 1200), else the words."""
    boxed = _BOXED.findall(answer)
    text = boxed[-1] if boxed else answer
    found = numbers(text)
    if found and (len(set(found)) == 1 or "=" in text) and len(text.split()) <= SHORT:
        number = final_number(text)
        return written(number) if number is not None else ""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(r"[\w.%]*\w", _ARTICLE.sub(" ", folded)))


def written(number: Decimal) -> str:
    """A number in one form only: 1200 for 1,200.00, 0.5 for .50."""
    return format(number.normalize() + 0, "f")


def majority(keys: Sequence[str]) -> tuple[int, int]:
    """Which answer to take, by the place of the first with the most frequent key, and how many share it.

    Empty keys do not count; of equally frequent ones the earlier wins.
    """
    counts = Counter(key for key in keys if key)
    if not counts:
        return 0, 1
    best = max(counts.values())
    return next(place for place, key in enumerate(keys) if counts[key] == best), best
