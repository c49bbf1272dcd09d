"""A training's state on the disk: written so that it is whole whenever the process ends."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatapp import UsageError, visible
from chatapp_lora.training.plan import Plan

if TYPE_CHECKING:
    import torch

STATE = "state.safetensors"
_MOMENTS = ("exp_avg", "exp_avg_sq", "step")
_BESIDE = ("folder", "base", "threads")
"""What of a plan may change between two parts of a run: where things are, and how many threads compute."""


@dataclass(slots=True)
class State:
    """How far a run is. `losses`, and seconds `taken`, have one entry a step.

    `held_out` has pairs of step and loss, step 0 being the base. `seconds` and tokens, those `seen` and those `learnt`,
    are of all parts of the run. `best` is the step whose weights are best (0: not known yet).
    """

    dtype: str
    losses: list[float] = field(default_factory=list)
    taken: list[float] = field(default_factory=list)
    held_out: list[tuple[int, float]] = field(default_factory=list)
    best: int = 0
    seconds: float = 0.0
    seen: int = 0
    learnt: int = 0
    memory: int = 0

    @property
    def step(self) -> int:
        """How many steps were made."""
        return len(self.losses)


def fingerprint(plan: Plan) -> str:
    """What is the same for two plans exactly when one goes on with what the other began."""
    values = {name: value for name, value in asdict(plan).items() if name not in _BESIDE}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


class Checkpoints:
    """The state, and the best weights, of one run in its folder."""

    def __init__(self, plan: Plan) -> None:
        self._folder = plan.folder
        self._print = fingerprint(plan)
        self._name = plan.name

    def read(self) -> State | None:
        """How far the run is, None when it has not begun; UsageError when the folder holds another run's state."""
        place = self._folder / STATE
        if not place.is_file():
            return None
        facts = _facts(place)
        if facts["plan"] != self._print:
            raise UsageError(
                f"An unfinished training of {visible(self._name)} with other data or settings is there: go on "
                "with that one, or drop it first."
            )
        state = dict(facts["state"])
        state["held_out"] = [(int(step), float(loss)) for step, loss in state["held_out"]]
        return State(**state)

    def save(self, state: State, weights: Mapping[str, torch.Tensor], optimizer: torch.optim.Optimizer) -> None:
        """Write everything a run needs to go on exactly as if it had not stopped."""
        tensors = {f"weights.{name}": tensor.detach() for name, tensor in weights.items()}
        for name, tensor in weights.items():
            moments = optimizer.state.get(tensor, {})
            tensors |= {f"{key}.{name}": moments[key] for key in _MOMENTS if key in moments}
        self._write(STATE, tensors, {"plan": self._print, "state": asdict(state)})
        for old in self._folder.glob("best-*.safetensors"):
            if old.name != _best(state.best):
                old.unlink()

    def restore(self, weights: Mapping[str, torch.Tensor], optimizer: torch.optim.Optimizer) -> None:
        """Give weights and optimizer what `save` wrote."""
        import torch
        from safetensors import safe_open

        with safe_open(self._folder / STATE, framework="pt") as file, torch.no_grad():
            names = set(file.keys())
            for name, tensor in weights.items():
                tensor.copy_(file.get_tensor(f"weights.{name}"))
                found = {key: file.get_tensor(f"{key}.{name}") for key in _MOMENTS if f"{key}.{name}" in names}
                if found:
                    optimizer.state[tensor] = found

    def save_best(self, step: int, weights: Mapping[str, torch.Tensor]) -> None:
        """Keep these weights as the best; those kept before stay until the next `save`, which names these."""
        self._write(_best(step), {name: tensor.detach() for name, tensor in weights.items()}, {})

    def restore_best(self, step: int, weights: Mapping[str, torch.Tensor]) -> None:
        """Give the weights what `save_best` kept of this step."""
        import torch
        from safetensors import safe_open

        with safe_open(self._folder / _best(step), framework="pt") as file, torch.no_grad():
            for name, tensor in weights.items():
                tensor.copy_(file.get_tensor(name))

    def _write(self, name: str, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
        from safetensors.torch import save_file

        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = self._folder / f"{name}.partial"
        save_file({key: tensor.contiguous() for key, tensor in tensors.items()}, partial, {"facts": json.dumps(facts)})
        partial.replace(self._folder / name)


def _best(step: int) -> str:
    return f"best-{step}.safetensors"


def _facts(place: Path) -> dict[str, Any]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(place, framework="pt") as file:
            facts = json.loads(file.metadata()["facts"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        raise UsageError(f"The state of the training in {visible(str(place.parent))} is damaged: drop it.") from None
    return dict(facts)
