"""What the tests of training share: plans for a tiny model, and runs in the tests' own process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy

from chatapp import Job, Progress
from chatapp_lora.training.plan import Example, Plan, Step, Trained
from chatapp_lora.training.service import Service

QUESTIONS = ("Hello", "What day?", "Olá!", "1 + 1", "Why so?", "A name", "Who?", "x = 3", "Sim ou não?", "End")
CHATS = tuple(Example((("user", each), ("assistant", f"{each} Have a day"))) for each in QUESTIONS)


def plan(folder: Path, model: Path, **changes: Any) -> Plan:
    """A plan of twelve steps for a tiny model, with some examples held out."""
    made = Plan(
        name="tiny", base=model, base_sha256="tiny", folder=folder / "run", train=CHATS[:7], held_out=CHATS[7:],
        rank=4, steps=12, batch=3, rate=1e-2, warm_up=2, evaluate_every=4, threads=1,
    )  # fmt: skip
    return replace(made, **changes)


class Impatient(Job):
    """A job whose parent loses interest after `looks` questions whether it has."""

    def __init__(self, looks: int) -> None:
        self._looks = looks
        super().__init__(0, lambda _: None)

    @property
    def cancelled(self) -> bool:
        """Whether it has been asked often enough."""
        self._looks -= 1
        return self._looks < 0

    @cancelled.setter
    def cancelled(self, value: bool) -> None:
        pass


def run(made: Plan, cache: Path, job: Job | None = None, service: Service | None = None) -> list[Any]:
    """Every step, and what was trained unless the job was stopped; `Progress` is left out."""
    service = service or Service(nice=0)
    news = service.train(job or Job(0, lambda _: None), made, cache, True)
    return [each for each in news if not isinstance(each, Progress)]


def trained(news: list[Any]) -> Trained:
    """The last of the news of a run that came to its end."""
    assert isinstance(news[-1], Trained)
    assert all(isinstance(each, Step) for each in news[:-1])
    return news[-1]


def factors(seed: int, names: Sequence[str] = ("attn_q", "attn_k", "ffn_down"), rank: int = 4) -> dict[str, Any]:
    """Random factors for a tiny model's second layer, by the name of the tensor they change."""
    random = numpy.random.default_rng(seed)
    shapes = {"attn_q": (64, 64), "attn_k": (64, 32), "ffn_down": (96, 64)}
    found = {}
    for name in names:
        width, rows = shapes[name]
        pair = random.normal(size=(rank, width)), 0.05 * random.normal(size=(rows, rank))
        found[f"blk.1.{name}.weight"] = tuple(each.astype(numpy.float32) for each in pair)
    return found
