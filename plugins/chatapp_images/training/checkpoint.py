"""Saving a training so that it goes on exactly where it stopped."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

MOMENTS = ("exp_avg", "exp_avg_sq")
Tensors = dict[str, torch.Tensor]


def save(path: Path, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and facts as one safetensors file; what stood there stays whole until the new file is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial, {"facts": json.dumps(facts)})
    partial.replace(path)


def load(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """The tensors and facts of a file written by `save`."""
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["facts"])  # noqa: SIM118


def part(tensors: Mapping[str, torch.Tensor], prefix: str) -> Tensors:
    """The tensors whose names begin with `prefix` and a dot, without it."""
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}.")}


def moments(optimizer: torch.optim.Optimizer, names: Mapping[torch.nn.Parameter, str]) -> Tensors:
    """AdamW's moments and step counts by the parameters' names."""
    found = {}
    for parameter, state in optimizer.state.items():
        for key in (*MOMENTS, "step"):
            found[f"{key}.{names[parameter]}"] = torch.as_tensor(state[key])
    return found


def restore(optimizer: torch.optim.Optimizer, names: Mapping[torch.nn.Parameter, str], tensors: Tensors) -> None:
    """Give AdamW the moments that `moments` returned; parameters without them start afresh."""
    for parameter, name in names.items():
        if f"step.{name}" in tensors:
            state = {key: tensors[f"{key}.{name}"].to(parameter.device) for key in MOMENTS}
            optimizer.state[parameter] = {**state, "step": tensors[f"step.{name}"].float().to(parameter.device)}


def placed(saved: torch.Tensor, before: Sequence[str], now: Sequence[str], start: torch.Tensor) -> torch.Tensor:
    """The rows of `saved`, of the words `before`, at the places of the words `now`; new words as in `start`."""
    rows = {word: row for row, word in enumerate(before)}
    kept = [(place, rows[word]) for place, word in enumerate(now) if word in rows]
    found = start.clone()
    if kept:
        places, sources = (list(part) for part in zip(*kept, strict=True))
        found[places] = saved[sources].to(found)
    return found
