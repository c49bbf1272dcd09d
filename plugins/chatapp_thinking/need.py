"""Whether a message looks as if its answer needed steps: what `auto` goes by. English and Portuguese."""

from __future__ import annotations

import re

ENOUGH = 3
"""Points from which a message is thought about. What is thought is folded away, so where the way is the answer (why,
prove, plan) one hint is not enough: mostly it is sums that gain."""
POINTS: tuple[tuple[int, re.Pattern[str]], ...] = tuple(
    (points, re.compile(pattern, re.IGNORECASE | re.DOTALL))
    for points, pattern in (
        # Amounts: two numbers and a question about them.
        (2, r"\d.*\d.*\?|\?.*\d.*\d"),
        (1, r"\d.*\?"),
        (2, r"\bhow (many|much|long|far|old|often|fast)\b|\bquant[oa]s?\b"),
        (2, r"\b(calculate|compute|solve|derive|prove|deduce|estimate)\b|\b(calcul|resolv|demonstr|prov[ae])\w*\b"),
        (2, r"\bwhy\b|\bpor ?qu[eê]\b"),
        (2, r"\b(step by step|passo a passo|plan|planej\w+|schedule|puzzle|riddle|trade-?offs?)\b"),
        (2, r"\b(debug|traceback|stack trace|race condition|deadlock|segfault|does(n't| not) work|não funciona)\b"),
        (2, r"\b\w*(error|exception)\b.*(\n|`|\?)|\bbug\b"),
        (1, r"\b(compare|which (one )?is|what if|at least|at most|percent|average|probability)\b|%"),
        # Texts to be written or rewritten come better in one go.
        (-3, r"^\W*(please |por favor,? )?(write|rewrite|translate|summari[sz]e|proofread|escreva|traduz\w*|resuma)\b"),
        (-2, r"\b(poem|story|e-?mail|slogan|poema|história)\b"),
    )
)
"""What gives points, each once; negative where steps would be in the way."""


def score(text: str) -> int:
    """The points of a message: the sum over `POINTS` of those whose pattern is in it."""
    return sum(points for points, pattern in POINTS if pattern.search(text))


def needs_steps(text: str) -> bool:
    """Whether `auto` has this message thought about."""
    return score(text) >= ENOUGH
