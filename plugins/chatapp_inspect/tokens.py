"""Tokens as parts: the last prompt cut up, and the last answer with its probabilities; each with a plain text form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from chatapp import Data, TokenLogprob, Turn, visible

MOST_SHOWN = 4_000
"""Tokens of a prompt that are shown; of a longer one, the last."""
LEAST_CERTAIN = 10
"""How many tokens the plain form lists."""
AROUND = 4
"""Tokens shown on either side of one in the plain form."""
_MARKS = str.maketrans({" ": "·", "\n": "↵", "\t": "⇥"})


def shown(token: str) -> str:
    """A token with its spaces, line breaks and control characters visible."""
    return visible(token.replace("\r\n", "\n")).translate(_MARKS)


def prompt_part(texts: Sequence[str], turn: Turn) -> Data:
    """The tokens of the turn's prompt by message, as a part ``inspect.tokens``."""
    groups = _groups(texts, turn)
    left_out = max(len(texts) - MOST_SHOWN, 0)
    value: dict[str, Any] = {"total": len(texts), "left_out": left_out, "messages": _last(groups, MOST_SHOWN)}
    lines = [prompt_heading(value)]
    for each in value["messages"]:
        lines += [group_heading(each), "│".join(map(shown, each["tokens"]))]
    return Data("inspect.tokens", value, "\n".join(lines))


def prompt_heading(value: dict[str, Any]) -> str:
    """How many tokens there are, and how many are not shown."""
    first = f"; the first {value['left_out']:,} are not shown" if value["left_out"] else ""
    return f"The last prompt: {value['total']:,} tokens in {len(value['messages'])} messages{first}."


def group_heading(group: dict[str, Any]) -> str:
    """Whose tokens follow."""
    return f"{group['message']}: {group['count']:,} tokens"


def _groups(texts: Sequence[str], turn: Turn) -> list[dict[str, Any]]:
    spans = turn.usage.spans if turn.usage is not None else ()
    messages = turn.request.messages if turn.request is not None else ()
    # The spans are those of the answer's prompt: they hold as long as it is cut into as many tokens now.
    if not spans or len(spans) != len(messages) or spans[-1][1] != len(texts):
        return [_group("prompt", texts)]
    bounds = [0, *(end for _, end in spans)]
    found = zip(messages, pairwise(bounds), strict=True)
    return [_group(f"{place}. {each.role}", texts[a:b]) for place, (each, (a, b)) in enumerate(found, 1)]


def _group(name: str, texts: Sequence[str]) -> dict[str, Any]:
    return {"message": name, "count": len(texts), "tokens": list(texts)}


def _last(groups: list[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    kept: list[dict[str, Any]] = []
    for group in reversed(groups):
        tokens = group["tokens"][max(len(group["tokens"]) - most, 0) :]
        if tokens:
            kept.insert(0, {**group, "tokens": tokens})
        most -= len(tokens)
        if most <= 0:
            break
    return kept


def probability(logprob: float) -> float:
    """From its natural logarithm; between 0 and 1 also where an engine rounds beyond."""
    return 0.0 if math.isnan(logprob) else math.exp(min(logprob, 0.0))


def answer_part(tokens: Sequence[TokenLogprob]) -> Data:
    """The tokens of an answer with their probabilities and alternatives, as a part ``inspect.answer``."""
    value = [
        {
            "token": each.token,
            "probability": probability(each.logprob),
            "alternatives": [[text, probability(logprob)] for text, logprob in each.top],
        }
        for each in tokens
    ]
    return Data("inspect.answer", value, "\n".join([answer_heading(value), *_least(value)]))


def answer_heading(value: Sequence[dict[str, Any]]) -> str:
    """How sure the model was, in one line."""
    sure = sum(each["probability"] >= 0.5 for each in value)
    logs = [math.log(max(each["probability"], 1e-30)) for each in value]
    perplexity = math.exp(-sum(logs) / max(len(logs), 1))
    return f"The last answer: {len(value):,} tokens, {sure:,} of them likelier than all others together; " + (
        f"perplexity {perplexity:.2f} (1 is certain)."
    )


def describe(each: dict[str, Any]) -> str:
    """One token and what could have stood in its place, likeliest first."""
    rivals = [(text, chance) for text, chance in each["alternatives"] if text != each["token"]]
    instead = ", ".join(f"{shown(text)} {chance:.1%}" for text, chance in rivals)
    return f"{shown(each['token'])} {each['probability']:.1%}" + (f"; instead: {instead}" if instead else "")


def _least(value: Sequence[dict[str, Any]]) -> list[str]:
    order = sorted(range(len(value)), key=lambda place: value[place]["probability"])[:LEAST_CERTAIN]
    lines = [f"The {len(order)} least certain:"]
    for place in order:
        before = "".join(shown(each["token"]) for each in value[max(place - AROUND, 0) : place])
        after = "".join(shown(each["token"]) for each in value[place + 1 : place + 1 + AROUND])
        lines.append(f"{place + 1:5}. {describe(value[place])}   in {before}[{shown(value[place]['token'])}]{after}")
    return lines
