"""From a message's vector to the experts that answer it: plain arithmetic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from chatapp import Vectors
from chatapp_experts.files import Expert
from chatapp_experts.head import NONE, Head, features, softmax
from chatapp_experts.vectors import dot

By = Literal["", "training", "likeness", "choice"]
FLOORS: Mapping[str, float] = {"training": 0.6, "likeness": 0.2}
"""The score from which on an expert answers, a probability or a cosine: the best on the tuning messages.

A higher one rejects more of what belongs to nobody, and soon more still of what belongs to an expert.
"""
SHARPNESS = 0.03
"""The temperature of the weights of several experts, in cosines; probabilities need none."""
LEAST = 0.1
"""A smaller weight changes nothing that could be seen, and costs what any switch costs."""
NEAREST = 3
"""How many of an expert's texts count for its likeness: the mean of so many nearest."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which experts answer a message: `mix` gives their weights, which sum to 1; empty is none.

    `scores` are all experts', probabilities or cosines as `by` says; `floor` is the least with which one answers.
    """

    mix: Mapping[str, float] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    by: By = ""
    floor: float = 0.0

    def told(self) -> str:
        """The mix as people read it: ``json``, or ``json 0.71 + shell 0.29``; empty for none."""
        if len(self.mix) == 1:
            return next(iter(self.mix))
        return " + ".join(f"{name} {weight:.2f}" for name, weight in self.mix.items())

    def packed(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


def unpacked(value: Any) -> Verdict:
    """The verdict that was kept as JSON; one without experts where it is none."""
    return Verdict(**value) if isinstance(value, dict) and set(value) <= set(Verdict.__slots__) else Verdict()


def by_training(head: Head, text: str, vector: Sequence[float], top: int, floor: float | None) -> Verdict:
    """Who answers a message, by the trained head: an expert must also be likelier than that it belongs to none."""
    logits = head.logits(features(text, vector))
    scores = softmax(logits)
    rejected = scores.pop(NONE, 0.0)
    least = FLOORS["training"] if floor is None else floor
    return _chosen(scores, logits, "training", top, max(least, rejected))


def by_likeness(
    experts: Sequence[Expert], rows: Vectors, vector: Sequence[float], top: int, floor: float | None
) -> Verdict:
    """Who answers a message, by its likeness to the experts' texts, of which `rows` are the vectors, in order."""
    scores = likeness(vector, experts, rows)
    sharpened = {name: score / SHARPNESS for name, score in scores.items()}
    return _chosen(scores, sharpened, "likeness", top, FLOORS["likeness"] if floor is None else floor)


def likeness(vector: Sequence[float], experts: Sequence[Expert], rows: Vectors) -> dict[str, float]:
    """The cosine of a message with each expert: the mean of its NEAREST texts'."""
    scores, start = {}, 0
    for expert in experts:
        end = start + len(expert.texts)
        cosines = sorted((dot(vector, rows[place]) for place in range(start, end)), reverse=True)[:NEAREST]
        scores[expert.name] = sum(cosines) / len(cosines)
        start = end
    return scores


def _chosen(scores: Mapping[str, float], logits: Mapping[str, float], by: By, top: int, floor: float) -> Verdict:
    order = sorted(scores, key=lambda name: -scores[name])
    if not order or scores[order[0]] < floor:
        return Verdict({}, scores, by, floor)
    weights = softmax({name: logits[name] for name in order[:top]})
    kept = {name: weight for name, weight in weights.items() if weight >= LEAST}
    total = sum(kept.values())
    return Verdict({name: round(weight / total, 3) for name, weight in kept.items()}, scores, by, floor)
