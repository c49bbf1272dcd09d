"""The trained head: multinomial logistic regression on meaning and spelling of a message, kept as numbers in JSON."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from chatapp import Host, write_private
from chatapp_experts.files import BUNDLED, Expert
from chatapp_experts.spelling import spelling
from chatapp_experts.vectors import dot

NONE = "none"
"""The class of what belongs to no expert."""


@dataclass(frozen=True, slots=True)
class Head:
    """One row of weights and one bias per class; `model` is the embedding model's identity.

    `experts` says for each expert which texts it had when this was trained: with others it no longer fits. `seen` are
    the digests of the messages it was trained on, so that an evaluation can tell which were not new.
    """

    model: str
    experts: Mapping[str, str]
    classes: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]
    bias: tuple[float, ...]
    seen: tuple[str, ...] = ()

    def fits(self, model: str, experts: Sequence[Expert]) -> bool:
        """Whether it was trained for this embedding model and these experts as they are."""
        return self.model == model and self.experts == {each.name: digest(*each.texts) for each in experts}

    def logits(self, features: Sequence[float]) -> dict[str, float]:
        """The score of each class, a logarithm of its probability but for a constant; see `features`."""
        rows = zip(self.classes, self.weights, self.bias, strict=True)
        return {name: dot(row, features) + bias for name, row, bias in rows}


def features(text: str, vector: Sequence[float]) -> list[float]:
    """What a head reads of a message: its vector, then its spelling."""
    return [*vector, *spelling(text)]


def digest(*texts: str) -> str:
    """What stands for texts where they need not be read."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def softmax(logits: Mapping[str, float]) -> dict[str, float]:
    """Probabilities from logits."""
    highest = max(logits.values())
    parts = {name: math.exp(value - highest) for name, value in logits.items()}
    total = sum(parts.values())
    return {name: part / total for name, part in parts.items()}


def place(host: Host) -> Path:
    """Where the user's own head is."""
    return host.paths.data / "experts" / "head.json"


def save(path: Path, head: Head) -> None:
    """Write a head, one row of weights to a line."""
    rows = [json.dumps({key: value}, ensure_ascii=False)[1:-1] for key, value in asdict(head).items()]
    write_private(path, "{" + ",\n".join(rows) + "}\n")


def fitting(host: Host, model: str, experts: Sequence[Expert]) -> Head | None:
    """The user's own head or the bundled one, where it fits; blocks on the file system."""
    for path in (place(host), BUNDLED / "head.json"):
        head = _held(path, path.stat().st_mtime_ns) if path.is_file() else None
        if head is not None and head.fits(model, experts):
            return head
    return None


@lru_cache(maxsize=4)
def _held(path: Path, changed: int) -> Head | None:
    return load(path)


def load(path: Path) -> Head | None:
    """The head in a file; None where there is none that can be used, and messages are judged without."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        weights = tuple(tuple(float(value) for value in row) for row in held["weights"])
        bias, classes = tuple(map(float, held["bias"])), tuple(map(str, held["classes"]))
        made = Head(str(held["model"]), dict(held["experts"]), classes, weights, bias, tuple(held["seen"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    numbers = [*bias, *(value for row in weights for value in row)]
    whole = len(classes) == len(bias) == len(weights) and len({len(row) for row in weights}) == 1
    return made if whole and all(map(math.isfinite, numbers)) else None
