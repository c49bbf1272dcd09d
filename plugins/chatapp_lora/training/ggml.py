"""Writing a GGUF that is another one with some tensors replaced, one tensor in memory at a time.

What the first file says of itself is copied byte by byte (docs/gguf.md of ggml): its vocabulary alone has hundreds of
thousands of entries, which need not be made into objects and back.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from chatapp import EngineError, GgufHead, GgufTensor, Progress, human_bytes, visible
from chatapp_lora.training.weights import mapped, portions, stored

BEGIN = 24
"""Where the values begin: behind magic, version and the two counts."""
NUMBERS = {"F32": 0, "F16": 1, "Q8_0": 8}
SIZES = {"F32": (1, 4), "F16": (1, 2), "Q8_0": (32, 34)}
FILE_TYPE_Q8_0 = 7
UINT32, TEXT = 4, 8
SPARE = 200_000_000
"""Bytes of the disk that are left free."""
Change = Callable[[Any, int], Any]
"""Takes some rows of a tensor as float32 (rows, width) and the number of the first; returns what they are to be."""
Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class _Place:
    """A tensor of the new file: its type and where its bytes are."""

    tensor: GgufTensor
    kind: str
    offset: int
    size: int


def rewritten(
    head: GgufHead, changes: Mapping[str, Change], out: Path, notes: Mapping[str, str], report: Report
) -> None:
    """Write the model of `head` to `out`, the tensors named in `changes` changed and stored as Q8_0 (F32 if narrow).

    `notes` are added to what the file says of itself. `out` is whole or is not there. EngineError when the disk has no
    room. An exception from `report` ends the work.
    """
    places = _places(head, changes)
    _need_room(out, places[-1].offset + places[-1].size + head.data)
    partial = out.with_name(f"{out.name}.partial")
    try:
        with partial.open("wb") as file:
            _write(file, head, places, changes, notes, report)
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


def _write(
    file: BinaryIO,
    head: GgufHead,
    places: list[_Place],
    changes: Mapping[str, Change],
    notes: Mapping[str, str],
    report: Report,
) -> None:
    data, alignment = mapped(head), _alignment(head)
    values = _values(bytes(data[: head.data]), head)
    added = [_pair(name, text) for name, text in notes.items() if name not in head.values]
    (count,) = struct.unpack("<Q", bytes(data[BEGIN - 8 : BEGIN]))
    file.write(b"GGUF" + struct.pack("<IQQ", 3, len(places), count + len(added)) + values + b"".join(added))
    for place in places:
        file.write(_entry(place.tensor, NUMBERS.get(place.kind, _number(place.tensor)), place.offset))
    begin = _padded(file, alignment)
    for done, place in enumerate(places):
        file.write(b"\0" * (begin + place.offset - file.tell()))
        for part in _bytes(data, head, place, changes.get(place.tensor.name)):
            file.write(part)
        report(Progress("Writing the model", done + 1, len(places), "layers"))


def _places(head: GgufHead, changes: Mapping[str, Change]) -> list[_Place]:
    found, offset, alignment = [], 0, _alignment(head)
    for tensor in head.tensors:
        kind = _kind(tensor) if tensor.name in changes else tensor.kind.name
        block, size = SIZES[kind] if tensor.name in changes else (tensor.kind.block, tensor.kind.size)
        found.append(_Place(tensor, kind, offset, tensor.weights // block * size))
        offset = -(-(offset + found[-1].size) // alignment) * alignment
    return found


def _kind(tensor: GgufTensor) -> str:
    """What a changed tensor is stored as: llama.cpp wants vectors in full, and Q8_0 has blocks of 32."""
    if len(tensor.shape) == 1:
        return "F32"
    return "F16" if tensor.shape[0] % SIZES["Q8_0"][0] else "Q8_0"


def _bytes(data: Any, head: GgufHead, place: _Place, change: Change | None) -> Iterable[Any]:
    if change is None:
        yield stored(data, head, place.tensor)
        return
    import numpy
    from gguf import GGMLQuantizationType, quants

    row = 0
    for part in portions(data, head, place.tensor):
        rows = part.reshape(-1, place.tensor.shape[0])
        changed = numpy.ascontiguousarray(change(rows, row), numpy.float32)
        yield quants.quantize(changed, GGMLQuantizationType[place.kind]).tobytes()
        row += len(rows)


def _values(whole: bytes, head: GgufHead) -> bytes:
    """The values as the file has them: what stands between its counts and its list of tensors."""
    entries = b"".join(_entry(tensor, _number(tensor), tensor.offset) for tensor in head.tensors)
    end = whole.rfind(entries)
    if end < BEGIN:
        raise EngineError(f"The tensors of {visible(head.path.name)} are listed in a way that is not understood.")
    key = b"general.file_type" + struct.pack("<I", UINT32)
    before, found, after = whole[BEGIN:end].partition(key)
    # Most of the weights may be of another type than before; this value only tells people.
    return before + found + struct.pack("<I", FILE_TYPE_Q8_0) + after[4:] if found else before


def _entry(tensor: GgufTensor, number: int, offset: int) -> bytes:
    form = f"<I{len(tensor.shape)}QIQ"
    return _text(tensor.name) + struct.pack(form, len(tensor.shape), *tensor.shape, number, offset)


def _pair(name: str, text: str) -> bytes:
    return _text(name) + struct.pack("<I", TEXT) + _text(text)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _number(tensor: GgufTensor) -> int:
    from gguf import GGMLQuantizationType

    return int(GGMLQuantizationType[tensor.kind.name])


def _padded(file: BinaryIO, alignment: int) -> int:
    file.write(b"\0" * (-file.tell() % alignment))
    return file.tell()


def _alignment(head: GgufHead) -> int:
    return int(head.values.get("general.alignment", 32))


def _need_room(out: Path, size: int) -> None:
    room = shutil.disk_usage(out.parent).free
    if room < size + SPARE:
        raise EngineError(f"{visible(str(out))} takes {human_bytes(size)} and {human_bytes(room)} are free: make room.")
