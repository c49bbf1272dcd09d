"""Whether an answer behaves as its message asked, told by its form alone; for the bundled experts and for `none`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from chatapp_experts.head import NONE

BRIEF = 18
"""Words of a short answer at most."""
PORTUGUESE = 0.12
"""The least share of Portuguese function words; running text has more than twice that."""
# Words that English or Spanish has too ("a", "de", "no", "para") say nothing about the language.
_LISTED = """à às ao aos até com da das dos e é em ela ele eles está foi há isso isto já mais mas muito na nas nos não
    num numa o os ou pela pelo pode são sem seu seus só sua suas também tem um uma você"""
_WORDS = frozenset(_LISTED.split())
_SHELL = re.compile(r"```(?:bash|sh|shell)?\n[^\n]*\S[^\n]*\n```\s*\S")


def is_json(answer: str) -> bool:
    """One JSON object, and nothing else."""
    try:
        return isinstance(json.loads(answer), dict)
    except (ValueError, RecursionError):
        return False


def is_shell(answer: str) -> bool:
    """First a command of one line in a fence, then words about it."""
    return _SHELL.match(answer.strip()) is not None


def is_portuguese(answer: str) -> bool:
    """Prose in which enough words are such that only Portuguese has them."""
    words = re.findall(r"[^\W\d_]+", answer.lower())
    return bool(words) and sum(word in _WORDS for word in words) / len(words) >= PORTUGUESE


def is_brief(answer: str) -> bool:
    """A few words, neither JSON nor fenced."""
    return 0 < len(answer.split()) <= BRIEF and "```" not in answer and not is_json(answer)


def is_ordinary(answer: str) -> bool:
    """Something, and none of the others."""
    return bool(answer.strip()) and not any(check(answer) for name, check in CHECKS.items() if name != NONE)


CHECKS: Mapping[str, Callable[[str], bool]] = {
    "brief": is_brief,
    "json": is_json,
    "pt-br": is_portuguese,
    "shell": is_shell,
    NONE: is_ordinary,
}
"""The check for the messages of each label."""
