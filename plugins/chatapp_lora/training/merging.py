"""Adapters merged into a model's weights: one GGUF that needs no adapter, for programs that take none."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from chatapp import EngineError, GgufHead, Progress, read_gguf, visible
from chatapp_lora.training.ggml import Change, Report, rewritten
from chatapp_lora.training.names import rows_of_heads, to_pairs
from chatapp_lora.training.weights import mapped, portions

Pair = tuple[Any, Any]
NOTE = "chatapp.note"
ENDS = (".lora_a", ".lora_b")


def merge(base: Path, adapters: Sequence[tuple[Path, float]], out: Path, report: Report) -> None:
    """Write `base` with each adapter added at its scale to `out`, a GGUF; the changed tensors are stored as Q8_0.

    weight + scale · alpha / rank · B·A. An activated adapter is then active everywhere. EngineError or ModelError says
    in one sentence what does not go together, or that the disk is too full; `out` is whole or is not there. Blocks for
    seconds; an exception from `report` ends it.
    """
    if not adapters:
        raise EngineError("There is nothing to merge: name one adapter or more.")
    head = read_gguf(base)
    if any(out.exists() and out.samefile(path) for path in (base, *(path for path, _ in adapters))):
        raise EngineError(f"{visible(str(out))} is one of the files to merge: write to another.")
    added: dict[str, list[Pair]] = {}
    for path, scale in adapters:
        for name, pair in _factors(path, scale, head).items():
            added.setdefault(name, []).append(pair)
    changes: dict[str, Change] = {name: partial(_added, pairs) for name, pairs in added.items()}
    said = ", ".join(f"{path.stem} at {scale:g}" for path, scale in adapters)
    rewritten(head, changes, out, {NOTE: f"With the LoRA adapters {said} merged."}, report)


def write_full(base: GgufHead, weights: Mapping[str, Any], out: Path, report: Callable[[Progress], None]) -> None:
    """Write the model of `base` with other weights, NumPy arrays by the GGUF's names, rows as transformers has them."""
    changes: dict[str, Change] = {}
    for name, array in weights.items():
        rows = to_pairs(array, rows_of_heads(base, name))
        changes[name] = partial(_replaced, rows.reshape(-1, rows.shape[-1]))
    rewritten(base, changes, out, {NOTE: "Every weight trained further with chatapp."}, report)


def _added(pairs: Sequence[Pair], rows: Any, first: int) -> Any:
    for a, b in pairs:
        rows = rows + b[first : first + len(rows)] @ a
    return rows


def _replaced(array: Any, rows: Any, first: int) -> Any:
    return array[first : first + len(rows)]


def _factors(path: Path, scale: float, model: GgufHead) -> dict[str, Pair]:
    """A and B of an adapter, B times its scale, by the name of the tensor they change."""
    head = read_gguf(path)
    shown, said = visible(path.name), head.values
    if said.get("general.type") != "adapter" or said.get("adapter.type") != "lora":
        raise EngineError(f"{shown} is no LoRA adapter: name one that `/lora` lists.")
    if said.get("general.architecture") != model.values.get("general.architecture"):
        raise EngineError(f"{shown} is for another kind of model than {visible(model.path.name)}.")
    alpha = said.get("adapter.lora.alpha")
    if not isinstance(alpha, float) or not math.isfinite(alpha * scale):
        raise EngineError(
            f"{shown} does not say its alpha, or it or the scale is no number: train or convert it again."
        )
    shapes = {tensor.name: tensor.shape for tensor in model.tensors}
    data = mapped(head)
    arrays = {tensor.name: _array(data, head, tensor) for tensor in head.tensors}
    found = {}
    for name in sorted({name.rpartition(".lora_")[0] for name in arrays}):
        a, b = (arrays.get(name + end) for end in ENDS)
        if a is None or b is None or a.ndim != 2 or b.ndim != 2 or len(a) != b.shape[1]:
            raise EngineError(f"{shown} lacks a part of {visible(name)}: it is damaged, train or convert it again.")
        if shapes.get(name) != (a.shape[1], len(b)):
            raise EngineError(
                f"{shown} does not fit {visible(model.path.name)} in {visible(name)}: choose its own base."
            )
        # An alpha of 0 means that there is no scaling by the rank (llama-adapter.h of llama.cpp).
        found[name] = a, b * (scale * (alpha / len(a) if alpha else 1.0))
    return found


def _array(data: Any, head: GgufHead, tensor: Any) -> Any:
    import numpy

    array = numpy.concatenate(list(portions(data, head, tensor))).reshape(tuple(reversed(tensor.shape)))
    if not numpy.isfinite(array).all():
        raise EngineError(f"{visible(head.path.name)} holds numbers that are not finite: train or convert it again.")
    return array
