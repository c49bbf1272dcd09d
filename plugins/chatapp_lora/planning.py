"""From what a person asked to a plan that this machine can carry out: the base model, the examples, the memory."""

from __future__ import annotations

import asyncio
import hashlib
import math
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from chatapp import Session, UsageError, read_gguf
from chatapp_lora.options import LoraSettings
from chatapp_lora.runs import Run, Runs
from chatapp_lora.sources import gathered, split
from chatapp_lora.training.names import architecture
from chatapp_lora.training.plan import INVOCATION, TARGETS, Plan

KNOWN = (*TARGETS, "gate", "up", "down")
FEWEST_STEPS, MOST_STEPS = 30, 120
"""Between these are the steps where no number is given: two passes over the examples."""
LARGEST_RANK = 256
FULL_RATE = 2e-5
"""Learning rate where every weight is trained: fifty times less, as each changes what the model knows."""
TEMPLATE = "tokenizer.chat_template"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a person asked of a training; None and empty leave the choice to `planned`."""

    data: Path | None = None
    shots: str = ""
    here: bool = False
    base: str = ""
    rank: int | None = None
    alpha: float | None = None
    targets: str = ""
    steps: int | None = None
    lr: float | None = None
    batch: int | None = None
    longest: int | None = None
    activated: bool = False
    full: bool = False
    seed: int = 0
    compare: bool = True

    @property
    def anything(self) -> bool:
        """Whether anything was asked that makes it another training than the one that was begun."""
        return self != Asked(compare=self.compare)


async def planned(session: Session, name: str, asked: Asked) -> Run:
    """The training that was asked for. UsageError, ModelError or EngineError in one sentence where it cannot be."""
    _check(asked)
    base = asked.base or session.model
    path = await asyncio.to_thread(_base, session, base, asked.activated)
    material = await gathered(session, asked.data, asked.shots, asked.here)
    train, held_out = split(material, asked.seed)
    usual: dict[str, Any] = {each.name: each.default for each in fields(Plan)}
    batch = min(asked.batch or usual["batch"], len(train))
    steps = asked.steps or min(max(math.ceil(2 * len(train) / batch), FEWEST_STEPS), MOST_STEPS)
    rank = asked.rank or usual["rank"]
    plan = Plan(
        name=name,
        base=path,
        base_sha256=await asyncio.to_thread(_sha256, session, path),
        folder=Runs(session.host).place(name),
        train=train,
        held_out=held_out,
        rank=rank,
        alpha=asked.alpha or 2.0 * rank,
        targets=_targets(asked.targets),
        steps=steps,
        batch=batch,
        rate=asked.lr or (FULL_RATE if asked.full else usual["rate"]),
        warm_up=min(usual["warm_up"], steps // 4),
        evaluate_every=max(1, min(usual["evaluate_every"], steps // 4)),
        longest=asked.longest or usual["longest"],
        seed=asked.seed,
        threads=session.host.config(LoraSettings).threads or _cores(),
        invocation=INVOCATION if asked.activated else "",
        full=asked.full,
    )
    return Run(plan, base, material.source, asked.compare)


def _check(asked: Asked) -> None:
    """UsageError for a number that makes no sense."""
    wrong = [
        (asked.rank is not None and not 1 <= asked.rank <= LARGEST_RANK, f"--rank is from 1 to {LARGEST_RANK}"),
        (asked.alpha is not None and not 0 < asked.alpha < math.inf, "--alpha is greater than 0"),
        (asked.steps is not None and not 1 <= asked.steps <= 1_000_000, "--steps is from 1 on"),
        (asked.batch is not None and not 1 <= asked.batch <= 1024, "--batch is from 1 to 1024"),
        (asked.longest is not None and not 16 <= asked.longest <= 32_768, "--longest is from 16 to 32768 tokens"),
        (asked.lr is not None and not 0 < asked.lr <= 1, "--lr is greater than 0 and at most 1, 0.001 for instance"),
        (asked.full and asked.activated, "--full trains the model itself, so it cannot be --activated"),
    ]
    for bad, sentence in wrong:
        if bad:
            raise UsageError(f"{sentence}.")


def _cores() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _targets(words: str) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(words.replace(",", " ").split()))
    strange = [each for each in chosen if each not in KNOWN]
    if strange:
        raise UsageError(f"There is no target {strange[0]!r}; there are {', '.join(KNOWN)}.")
    return chosen or TARGETS


def _base(session: Session, name: str, activated: bool) -> Path:
    """The file of a model that can be trained so. Blocks."""
    path = session.host.models.path(name)
    session.host.models.check(path)
    head = read_gguf(path)
    architecture(head)
    opening = INVOCATION.partition("assistant")[0]
    if activated and opening not in str(head.values.get(TEMPLATE) or opening):
        raise UsageError(f"{name} does not begin its answers by {INVOCATION!r}, so its adapters cannot be --activated.")
    return path


def _sha256(session: Session, path: Path) -> str:
    """Of the base model, from the store where that knows it. Blocks for a second a GB where it does not."""
    known = next((each.sha256 for each in session.host.models.list() if each.path == path and not each.problem), "")
    if known:
        return known
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
