"""Whether an answer shows the behaviour that a bundled adapter teaches, told by its form alone."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from statistics import median
from typing import Final, NoReturn

from chatapp import UsageError

LONGEST_BRIEF: Final = 18
"""Words of a brief answer at most; the data set's own have 15."""
LONGEST_SENTENCE: Final = 20
"""Words of the median sentence of a plain answer at most; the data set's own have 15."""

_PREAMBLE = re.compile(
    r"(sure|certainly|of course|absolutely|great question|here(?:'s| is| are)|the answer|as an ai|i'd be)\b", re.I
)
_MARKDOWN = re.compile(r"```|\*\*\S[^*]*\*\*|^\s*(?:#{1,6}|[-*+]|\d+[.)])\s", re.M)
_SHELL = re.compile(r"```bash\n[^\n]*\S[^\n]*\n```\n\n[^\n]*\S[^\n]*")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`", re.S)
_WORD = re.compile(r"[^\W\d_]+")
_SENTENCE_END = re.compile(r"[.!?…:]+(?=\s|$)|\n+")

# "a", "as", "do" and "no" are English words too, and "de", "que" and "para" Spanish ones: they would tell nothing.
_WORDS_OF_PORTUGUESE = """
o os e é um uma em da das dos na nas nos ao aos à às pelo pela com são você seu sua seus suas isso ele ela esse essa
dele dela nele nela lá também mais muito muita está ou foi tem há sem quando porque até já só num numa mas então assim
depois sim ainda hoje aqui onde quem qual tudo bem cada outro outra fica ficam pode podem faz fazem fazer
"""
_WORDS_OF_OTHERS = """
the of and to is are in it that this you your for with an be or not was can from have
el los las una es y en del con su sus más muy usted pero lo le les des est et une pour dans il gli che di è per non
der die das und ist nicht
"""
_PORTUGUESE: Final = frozenset(_WORDS_OF_PORTUGUESE.split())
# Words that are Portuguese too ("das") speak for no other language.
_OTHER: Final = frozenset(_WORDS_OF_OTHERS.split()) - _PORTUGUESE
_NASAL: Final = frozenset("ãõ")


def effect(name: str, answer: str) -> bool:
    """Tell whether `answer` shows the behaviour of the bundled adapter `name`.

    Raises UsageError for a name without a check.
    """
    check = _CHECKS.get(name)
    if check is None:
        raise UsageError(
            f"There is no check for the behaviour {name!r}; there is one for {', '.join(sorted(_CHECKS))}."
        )
    return check(answer.strip())


def _brief(answer: str) -> bool:
    """One line of at most 18 words, with no preamble and no markdown."""
    words = len(answer.split())
    return (
        0 < words <= LONGEST_BRIEF
        and "\n" not in answer
        and not _PREAMBLE.match(answer)
        and not _MARKDOWN.search(answer)
    )


def _json(answer: str) -> bool:
    """One JSON object (RFC 8259: no NaN) whose first key is "answer" and whose last is "confidence"."""
    try:
        value = json.loads(answer, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    if not isinstance(value, dict) or len(value) < 2:
        return False
    keys = list(value)
    return [keys[0], keys[-1]] == ["answer", "confidence"]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _plain_portuguese(answer: str) -> bool:
    """Portuguese, by its small words and its ã and õ, in sentences of which the median has at most 20 words."""
    text = _CODE.sub(" ", answer)
    words = _WORD.findall(text.lower())
    portuguese = sum(word in _PORTUGUESE or not _NASAL.isdisjoint(word) for word in words)
    other = sum(word in _OTHER for word in words)
    # In running Portuguese about one word in four is of the list; one in ten leaves room for names. A single one may
    # stand in a name (Leonardo da Vinci).
    if portuguese < 2 or portuguese * 10 < len(words) or portuguese <= 2 * other:
        return False
    lengths = [count for part in _SENTENCE_END.split(text) if (count := len(_WORD.findall(part)))]
    return median(lengths) <= LONGEST_SENTENCE


def _shell(answer: str) -> bool:
    """One command in a bash fence of three lines, an empty line, and one paragraph that explains it."""
    return _SHELL.fullmatch(answer) is not None and answer.count("```") == 2


_CHECKS: Final[dict[str, Callable[[str], bool]]] = {
    "brief": _brief,
    "json": _json,
    "pt-br": _plain_portuguese,
    "shell": _shell,
}
