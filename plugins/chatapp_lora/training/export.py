"""Low-rank factors as the GGUF that llama.cpp lays over a model.

The format: convert_lora_to_gguf.py and llama-adapter.cpp of llama.cpp.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatapp import EngineError, GgufHead, visible
from chatapp_lora.training.names import rows_of_heads, to_pairs


@dataclass(frozen=True, slots=True)
class AdapterHead:
    """What an adapter's file says of itself: `alpha` as in alpha / rank, `invocation` token ids (none: ordinary)."""

    name: str
    alpha: float
    base_name: str
    base_sha256: str = ""
    invocation: tuple[int, ...] = ()


def write_adapter(path: Path, factors: Mapping[str, tuple[Any, Any]], facts: AdapterHead, model: GgufHead) -> None:
    """Write the factors, float arrays A (r, in) and B (out, r) by the name of the tensor of `model` they change.

    They are as PEFT has them; where `model` has its rows in another order, B's are put into it. Numbers are kept in
    16 bits. The file is whole or is not there. EngineError when a factor does not fit the model, or is not finite.
    """
    import gguf
    import numpy

    partial = path.with_suffix(".partial")
    writer = gguf.GGUFWriter(partial, str(model.values["general.architecture"]))
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", facts.alpha)
    writer.add_name(facts.name)
    writer.add_base_model_count(1)
    writer.add_base_model_name(0, facts.base_name)
    if facts.base_sha256:
        writer.add_string("adapter.base_model.sha256", facts.base_sha256)
    if facts.invocation:
        kind = gguf.GGUFValueType
        ids = list(facts.invocation)
        writer.add_key_value("adapter.alora.invocation_tokens", ids, kind.ARRAY, sub_type=kind.UINT32)
    for name, (first, second) in factors.items():
        _check(name, first, second, model)
        rows = to_pairs(second, rows_of_heads(model, name))
        writer.add_tensor(f"{name}.lora_a", numpy.ascontiguousarray(first, numpy.float16))
        writer.add_tensor(f"{name}.lora_b", numpy.ascontiguousarray(rows, numpy.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.replace(path)


def _check(name: str, first: Any, second: Any, model: GgufHead) -> None:
    import numpy

    tensor = next((each for each in model.tensors if each.name == name), None)
    if tensor is None or len(tensor.shape) != 2:
        raise EngineError(f"{visible(model.path.name)} has no layer {visible(name)}: the adapter is for another model.")
    shape = first.shape[1], second.shape[0]
    if shape != tensor.shape or first.shape[0] != second.shape[1]:
        raise EngineError(
            f"{visible(name)} takes {tensor.shape[0]} numbers to {tensor.shape[1]} in {visible(model.path.name)} and "
            f"{shape[0]} to {shape[1]} in the adapter: it is for another model."
        )
    largest = float(numpy.finfo(numpy.float16).max)
    if not all(bool(numpy.all(numpy.abs(each) <= largest)) for each in (first, second)):
        raise EngineError(f"The adapter's factors of {visible(name)} are not finite or far too large: train it again.")
