"""The tensors of a GGUF as numbers, one at a time, from a map of the file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from chatapp import EngineError, GgufHead, GgufTensor, visible

if TYPE_CHECKING:
    import numpy

ROWS_AT_ONCE = 1 << 24
"""Weights dequantised in one go: the package's own tables for it take several times their size."""


def mapped(head: GgufHead) -> numpy.memmap[Any, Any]:
    """The file's bytes, read only; EngineError for the other byte order, which no model in use has."""
    import numpy

    if head.order != "<":
        raise EngineError(f"{visible(head.path.name)} is big-endian, which cannot be trained or merged: convert it.")
    return numpy.memmap(head.path, numpy.uint8, "r")


def stored(data: numpy.memmap[Any, Any], head: GgufHead, tensor: GgufTensor) -> Any:
    """The bytes of a tensor as the file has them."""
    begin = head.data + tensor.offset
    return data[begin : begin + tensor.bytes]


def portions(data: numpy.memmap[Any, Any], head: GgufHead, tensor: GgufTensor) -> Iterator[Any]:
    """A tensor's numbers in float32, some rows of its fastest dimension at a time; EngineError for an unknown type."""
    import numpy
    from gguf import GGMLQuantizationType, quants

    width = tensor.shape[0]
    raw = stored(data, head, tensor).reshape(tensor.weights // width, -1)
    step = max(1, ROWS_AT_ONCE // width)
    kind = GGMLQuantizationType[tensor.kind.name]
    for start in range(0, len(raw), step):
        part = raw[start : start + step]
        if kind in (GGMLQuantizationType.F32, GGMLQuantizationType.F16):
            form = numpy.float32 if kind == GGMLQuantizationType.F32 else numpy.float16
            yield numpy.ascontiguousarray(part).view(form).astype(numpy.float32)
            continue
        try:
            yield quants.dequantize(part, kind)
        except RuntimeError:
            # So the package says that it knows no way from this type to numbers.
            raise EngineError(
                f"{visible(head.path.name)} holds weights of the type {tensor.kind.name}, which cannot be read for "
                "training: choose a Q4_K_M or Q8_0 of the model."
            ) from None
