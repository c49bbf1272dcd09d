"""GGUF adapters for tests: random low-rank factors that fit a model, and ones that are wrong in a chosen way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chatapp import GgufHead, read_gguf

Factors = dict[str, tuple[Any, Any]]


def write_adapter(
    path: Path,
    model: Path,
    *,
    rank: int = 4,
    alpha: float = 8.0,
    targets: Sequence[str] = ("attn_q", "attn_v"),
    layers: Sequence[int] | None = None,
    scale: float = 0.02,
    seed: int = 0,
    invocation: Sequence[int] = (),
    **wrong: Any,
) -> Path:
    """A LoRA adapter for the GGUF `model`, random with standard deviation `scale`; 0.0 makes one that changes nothing.

    `layers` None is all of them; `invocation` makes it an activated one. `wrong` may have `dtype` (of all tensors),
    `fill` (a value of one entry of the first B), `values` (metadata in place of the right ones; None leaves one out),
    `extra` (more tensors by name), `big` (True for the other byte order).
    """
    head = read_gguf(model)
    count = int(head.values[f"{head.values['general.architecture']}.block_count"])
    made = factors(head, rank, targets, range(count) if layers is None else layers, scale, seed)
    if "fill" in wrong:
        next(iter(made.values()))[1][0, 0] = wrong["fill"]
    return write_factors(path, head, made, alpha, invocation, **wrong)


def factors(
    head: GgufHead, rank: int, targets: Sequence[str], layers: Sequence[int], scale: float, seed: int
) -> Factors:
    """A (rank x in) and B (out x rank) by the name of the module, in float32."""
    draw = np.random.default_rng(seed)
    shapes = {tensor.name: tensor.shape for tensor in head.tensors}
    found: Factors = {}
    for layer in layers:
        for target in targets:
            module = f"blk.{layer}.{target}"
            width, height = shapes[f"{module}.weight"][:2]
            a = draw.normal(0.0, 1.0 / np.sqrt(width), (rank, width)).astype(np.float32)
            b = (draw.normal(0.0, 1.0, (height, rank)) * scale).astype(np.float32)
            found[module] = a, b
    return found


def write_factors(
    path: Path, head: GgufHead, made: Factors, alpha: float, invocation: Sequence[int] = (), **wrong: Any
) -> Path:
    """The GGUF of these factors; `wrong` as in `write_adapter`."""
    import gguf

    given: Mapping[str, Any] = wrong.get("values", {})
    values = {
        "general.type": "adapter",
        "general.name": path.stem,
        "adapter.type": "lora",
        "adapter.lora.alpha": float(alpha),
        **({"adapter.alora.invocation_tokens": list(invocation)} if invocation else {}),
    }
    architecture = str(given.get("general.architecture", head.values["general.architecture"]))
    order = gguf.GGUFEndian.BIG if wrong.get("big") else gguf.GGUFEndian.LITTLE
    writer = gguf.GGUFWriter(path, architecture, endianess=order)
    for key, value in {**values, **given}.items():
        if key != "general.architecture" and value is not None:
            _add(writer, key, value)
    for name, array in {**tensors(made), **wrong.get("extra", {})}.items():
        writer.add_tensor(name, array.astype(wrong.get("dtype", array.dtype)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def tensors(made: Factors) -> dict[str, Any]:
    """The factors by the names they have in the file."""
    found: dict[str, Any] = {}
    for module, (a, b) in made.items():
        found |= {f"{module}.weight.lora_a": a, f"{module}.weight.lora_b": b}
    return found


def _add(writer: Any, key: str, value: Any) -> None:
    if isinstance(value, str):
        writer.add_string(key, value)
    elif isinstance(value, float):
        writer.add_float32(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    else:
        import gguf

        # llama.cpp reads token ids as unsigned numbers of 32 bits only.
        writer.add_key_value(key, list(value), gguf.GGUFValueType.ARRAY, sub_type=gguf.GGUFValueType.UINT32)
