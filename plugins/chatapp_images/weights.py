"""Files of weights in the safetensors format: their headers, checked before any library maps them into memory.

The format: 8 bytes, the length N of the header, little-endian; N bytes of JSON, name to {dtype, shape, data_offsets};
then the tensors, one after another without a gap (safetensors specification).
"""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatapp import ModelError, write_private

PICKLED = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle")
MOST_HEADER = 100_000_000
"""Bytes of header the format itself allows."""
WIDTHS = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
WIDTHS |= {"F8_E4M3": 1, "F8_E5M2": 1}


@dataclass(frozen=True, slots=True)
class Tensors:
    """What a file holds: the shape of every tensor by its name."""

    shapes: Mapping[str, tuple[int, ...]]

    @property
    def count(self) -> int:
        """How many numbers there are in all tensors."""
        return sum(math.prod(shape) for shape in self.shapes.values())


def read_header(path: Path) -> Tensors:
    """What the file at `path` holds; ModelError in one sentence where it is pickled, cut off or damaged.

    Reads the header only.
    """
    if path.suffix.lower() in PICKLED:
        raise ModelError(pickled(path))
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8).ljust(8, b"\0"))
            if not 2 <= length <= min(MOST_HEADER, size - 8):
                raise ModelError(f"{path} is not a safetensors file or is cut off: download it again.")
            header = json.loads(file.read(length))
        shapes, last = _tensors(header)
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}): check the path.") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(f"The header of {path} is damaged: download it again.") from error
    if last != size - 8 - length:
        raise ModelError(
            f"{path} holds {size - 8 - length:,} bytes of weights where its header names {last:,}: download it again."
        )
    return Tensors(shapes)


def pickled(path: Path) -> str:
    """Why a pickle is refused, and what to do."""
    return (
        f"{path} is pickled, and reading a pickle runs whatever code is in it: take the model's .safetensors files "
        "instead."
    )


def identity(paths: Iterable[Path], cache: Path) -> str:
    """One SHA-256 over those of the files, in the order of their names; what was read once is kept in `cache`.

    Reads all bytes of the files, about a second a gigabyte, unless neither size nor time of change differ.
    """
    known = _known(cache)
    sums = {}
    for path in sorted(paths):
        status = path.stat()
        key = f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"
        sums[key] = known.get(key) or _sha256(path)
    if not sums.keys() <= known.keys():
        write_private(cache, json.dumps(known | sums, indent=0))
    return hashlib.sha256("".join(sums.values()).encode()).hexdigest()


def _known(cache: Path) -> dict[str, str]:
    """What was read before; a cache that is damaged is made again."""
    try:
        known = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _tensors(header: dict[str, Any]) -> tuple[dict[str, tuple[int, ...]], int]:
    """Shapes by name, and where the last tensor ends; ValueError where offsets and shapes do not agree."""
    shapes, spans = {}, []
    for name, each in header.items():
        if name == "__metadata__":
            continue
        shape = tuple(int(side) for side in each["shape"])
        start, end = each["data_offsets"]
        if end - start != math.prod(shape) * WIDTHS[each["dtype"]] or min(shape, default=0) < 0:
            raise ValueError(name)
        shapes[name] = shape
        spans.append((start, end))
    last = 0
    for start, end in sorted(spans):
        if start != last:
            raise ValueError("a gap")
        last = end
    return shapes, last
