"""What a training run is told, and what it tells: the values that go between the chat and the child that trains."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TARGETS = ("q", "k", "v", "o")
"""The attention's projections; "gate", "up" and "down" are those of the feed-forward network."""
INVOCATION = "<|im_start|>assistant\n"
"""What begins an answer in ChatML, and so what switches an activated adapter on."""


@dataclass(frozen=True, slots=True)
class Example:
    """A chat to learn from: messages of "role" and "content"; the loss is on the assistant's tokens only."""

    messages: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A run: `base` is a GGUF, `folder` holds its checkpoints (a run whose folder has one goes on from there).

    `alpha` scales the change by alpha / rank (Hu et al., 2021). `steps` of `batch` examples each, at the learning rate
    `rate` after `warm_up` steps and falling linearly to nothing. `invocation` is empty for an ordinary adapter.
    `held_out` examples are kept from training; their loss is taken every `evaluate_every` steps, and after `patience`
    times without a better one the run ends early, with the best weights (0: never). With `full` every weight of the
    model is trained. `longest` cuts an example, in tokens.
    """

    name: str
    base: Path
    base_sha256: str
    folder: Path
    train: tuple[Example, ...]
    held_out: tuple[Example, ...]
    rank: int = 8
    alpha: float = 16.0
    targets: tuple[str, ...] = TARGETS
    steps: int = 40
    batch: int = 4
    rate: float = 1e-3
    warm_up: int = 5
    evaluate_every: int = 10
    patience: int = 3
    longest: int = 512
    seed: int = 0
    threads: int = 2
    invocation: str = ""
    full: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A step was done: the loss in nats a token on its batch, and the seconds it took.

    `held_out` is the held-out loss where it was taken after this step. `memory` is the process's resident bytes.
    """

    step: int
    loss: float
    seconds: float
    held_out: float | None = None
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Trained:
    """The run came to its end: what was learnt, at `path`, and the figures that belong on its card.

    `path` is in the plan's folder: the adapter's GGUF, or with `full` the whole model's. It may be moved away; the same
    plan writes it again at once, until its folder is removed. `best` is the step whose weights were kept; `seconds`
    and `memory` (the peak, in bytes) are of the whole run.

    `facts`: "losses" (one a step), "held_out" (pairs of step and loss, step 0 being the base itself), "tokens" that
    were read and "tokens_learnt" of them, "seconds_per_step" (median), "parameters" that were trained, "cut" (examples
    that were too long), "dtype" ("bf16" or "fp32"), "seed", "invocation" (token ids) and "versions" of the libraries.
    """

    path: Path
    steps: int
    best: int
    loss: float
    held_out: float | None
    seconds: float
    memory: int
    facts: dict[str, Any] = field(default_factory=dict)
