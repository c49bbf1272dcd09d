"""Trainings that were begun: what each was told is kept beside its checkpoints, until the adapter is stored."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from chatapp import FileLock, Host, UsageError, write_private
from chatapp_lora.training.plan import Example, Plan, Step

ORDER = "order.json"
STEPS = "steps.jsonl"
LOCK = "lock"


@dataclass(frozen=True, slots=True)
class Run:
    """A training: its plan, the base model's name, where its examples are from, and whether to compare at the end."""

    plan: Plan
    base: str
    source: str
    compare: bool = True


class Runs:
    """The unfinished trainings of one user."""

    def __init__(self, host: Host) -> None:
        self.folder = host.paths.data / "lora-training"

    def place(self, name: str) -> Path:
        """The folder of that training, with its checkpoints."""
        return self.folder / name

    def names(self) -> list[str]:
        """Every unfinished training, sorted."""
        return sorted(path.parent.name for path in self.folder.glob(f"*/{ORDER}"))

    def find(self, name: str) -> Run | None:
        """The training of that name; None where there is none. UsageError where what was kept cannot be read."""
        path = self.place(name) / ORDER
        if not path.is_file():
            return None
        try:
            return _run(json.loads(path.read_text(encoding="utf-8")), path.parent)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            raise UsageError(
                f"What was kept of the training {name} cannot be read: `/lora forget {name}` drops it."
            ) from None

    def save(self, run: Run) -> None:
        """Keep what a training was told; what an earlier one of that name left goes."""
        self.forget(run.plan.name)
        plan = {**asdict(run.plan), "base": str(run.plan.base), "folder": ""}
        order = {"plan": plan, "base": run.base, "source": run.source, "compare": run.compare}
        write_private(run.plan.folder / ORDER, json.dumps(order, ensure_ascii=False))

    def forget(self, name: str) -> bool:
        """Remove a training with its checkpoints; whether there was one."""
        folder = self.place(name)
        there = folder.is_dir()
        try:
            if there:
                shutil.rmtree(folder)
        except OSError as error:
            raise UsageError(f"{folder} cannot be removed: {error.strerror or error}.") from error
        return there

    def hold(self, name: str) -> FileLock:
        """Take the training for this process, until the lock is released; UsageError while another has it."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Beside the folder, not in it: a training that is begun anew or dropped must not take its lock along.
        lock = FileLock(self.folder / f"{name}.{LOCK}")
        if not lock.try_acquire():
            raise UsageError(f"{name} is being trained already: wait for its end, or stop it with Esc there.")
        return lock


def _run(order: Mapping[str, Any], folder: Path) -> Run:
    told = dict(order["plan"])
    examples = {
        part: tuple(Example(tuple((str(role), str(text)) for role, text in each["messages"])) for each in told[part])
        for part in ("train", "held_out")
    }
    known = {each.name for each in fields(Plan)}
    values = {key: value for key, value in told.items() if key in known}
    plan = Plan(
        **{**values, **examples, "base": Path(told["base"]), "folder": folder, "targets": tuple(told["targets"])}
    )
    return Run(plan, str(order["base"]), str(order["source"]), bool(order["compare"]))


def note(folder: Path, step: Step) -> None:
    """Keep a step's loss, for the curve after the training was taken up again. Blocks for a moment."""
    with (folder / STEPS).open("a", encoding="utf-8") as file:
        file.write(json.dumps([step.step, step.loss, step.held_out]) + "\n")


def noted(folder: Path) -> list[Step]:
    """The steps that were noted, in order; of one that was done twice, as it went the last time."""
    try:
        lines = (folder / STEPS).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found: dict[int, Step] = {}
    for line in lines:
        step = _step(line)
        if step is not None:
            found[step.step] = step
    return [found[number] for number in sorted(found)]


def _step(line: str) -> Step | None:
    # The last line of a process that was killed may be cut off.
    try:
        number, loss, held_out = json.loads(line)
        return Step(int(number), float(loss), 0.0, None if held_out is None else float(held_out))
    except (ValueError, TypeError):
        return None
