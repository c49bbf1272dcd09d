"""Reading the head of a GGUF file: what it says of the model and which tensors it holds; never the weights.

The format: docs/gguf.md of ggml, versions 2 and 3, both byte orders. A file may be somebody else's, so every count in
it is checked against the size of the file and a limit before anything is made of it. The `gguf` package was measured
first: it makes an array of each entry of the vocabulary, 6 s and 520 MB for a model of 0.5 B parameters.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from chatapp.errors import ModelError
from chatapp.gguf_types import KINDS, Kind
from chatapp.text import visible

MOST_KEYS = 5_000
MOST_TENSORS = 200_000
MOST_ITEMS = 5_000_000
"""Entries of all the arrays of a file together; the largest vocabularies have 300,000 words and as many merges."""
LONGEST_TEXT = 4_000_000
LONGEST_KEPT = 4_096
"""Arrays of numbers up to this length are kept; of longer ones, and of texts, only the length is."""
CHUNK = 1 << 20
LARGEST_HEAD = 1 << 29
"""Bytes; real heads are below 50 MB. A sparse file can claim any size without taking any room."""
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
TEXT, ARRAY = 8, 9
ALIGNMENT = 32


@dataclass(frozen=True, slots=True)
class GgufItems:
    """An array that was passed over: how many entries it has."""

    count: int


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """A tensor's name, shape (fastest dimension first), type and place in bytes behind the head."""

    name: str
    shape: tuple[int, ...]
    kind: Kind
    offset: int

    @property
    def weights(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """How many bytes they take."""
        return self.weights // self.kind.block * self.kind.size


@dataclass(frozen=True, slots=True)
class GgufHead:
    """What stands before the weights; `size` is that of the file in bytes, `data` the place tensors are counted from.

    `order` is the byte order of every number in it, as `struct` writes it ("<" or ">").
    """

    path: Path
    size: int
    data: int
    order: str
    values: dict[str, Any]
    tensors: tuple[GgufTensor, ...]


class _Broken(Exception):
    """What is wrong with the file, to complete the sentence "PATH …"."""


def read_gguf(path: Path) -> GgufHead:
    """The head of the file; ModelError with one sentence when it is no whole GGUF. Blocks: call it in a thread."""
    shown = visible(str(path))
    try:
        if not path.is_file():
            raise ModelError(f"{shown} is not a file: name a .gguf file or a model of `chatapp models list`.")
        with path.open("rb") as file:
            return _Reader(file, path).head()
    except OSError as error:
        raise ModelError(f"{shown} cannot be read: {error.strerror or error}.") from error
    except (_Broken, struct.error) as error:
        raise ModelError(f"{shown} {error}.") from None


class _Reader:
    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path
        self._size = path.stat().st_size
        self._held = b""
        self._place = 0
        self._begin = 0
        self._order = "<"
        self._items = 0

    def head(self) -> GgufHead:
        if self._take(4) != b"GGUF":
            raise _Broken("is not a GGUF model: choose a file that ends in .gguf and holds one")
        self._version()
        tensors, keys = self._count(24, MOST_TENSORS, "tensors"), self._count(13, MOST_KEYS, "values")
        values = dict(self._pair() for _ in range(keys))
        found = tuple(self._tensors(tensors))
        return GgufHead(self._path, self._size, self._data(values, found), self._order, values, found)

    def _version(self) -> None:
        version = self._number("I")
        if version & 0xFFFF == 0:
            # The other byte order puts the small number into the high bytes.
            self._order = ">"
            version = int.from_bytes(version.to_bytes(4, "little"), "big")
        if version not in (2, 3):
            raise _Broken(f"is a GGUF of version {version}, and only versions 2 and 3 are known: convert it anew")

    def _pair(self) -> tuple[str, Any]:
        name = self._text(65_535)
        return name, self._value(self._number("I"))

    def _value(self, kind: int) -> Any:
        if kind == TEXT:
            return self._text(LONGEST_TEXT)
        if kind == ARRAY:
            return self._array(self._number("I"))
        if kind not in NUMBERS:
            raise _Broken(f"holds a value of the unknown type {kind}: it is damaged or newer than this program")
        return self._number(NUMBERS[kind])

    def _array(self, kind: int) -> Any:
        if kind != TEXT and kind not in NUMBERS:
            raise _Broken(f"holds an array of the unknown type {kind}: it is damaged or newer than this program")
        letter = NUMBERS.get(kind, "")
        size = struct.calcsize(f"<{letter}") if letter else 8
        count = self._count(size, MOST_ITEMS - self._items, "array entries")
        self._items += count
        if letter and count <= LONGEST_KEPT:
            return list(struct.unpack(f"{self._order}{count}{letter}", self._take(count * size)))
        for _ in range(0 if letter else count):
            self._skip(self._length(LONGEST_TEXT))
        self._skip(count * size if letter else 0)
        return GgufItems(count)

    def _tensors(self, count: int) -> Iterator[GgufTensor]:
        for _ in range(count):
            name = self._text(1_024)
            dimensions = self._number("I")
            if not 0 < dimensions <= 8:
                raise _Broken(f"holds a tensor with {dimensions} dimensions: it is damaged")
            shape = tuple(self._number("Q") for _ in range(dimensions))
            number, offset = self._number("I"), self._number("Q")
            kind = KINDS.get(number)
            if kind is None:
                raise _Broken(f"holds a tensor of the unknown type {number}: it is damaged or newer than this program")
            yield GgufTensor(name, shape, kind, offset)

    def _data(self, values: dict[str, Any], tensors: tuple[GgufTensor, ...]) -> int:
        """Where the tensors begin; the file must reach to the end of the last."""
        given = values.get("general.alignment")
        alignment = given if isinstance(given, int) and 0 < given <= 1 << 20 else ALIGNMENT
        begin = -(-(self._begin + self._place) // alignment) * alignment
        end = max((begin + each.offset + each.bytes for each in tensors), default=0)
        if end > self._size:
            raise _Broken(f"is cut short: it should have {end:,} bytes and has {self._size:,}: download it again")
        return begin

    def _count(self, least: int, most: int, what: str) -> int:
        """A count of things of at least `least` bytes each: the rest of the file must have room for them."""
        count = int(self._number("Q"))
        if count > most:
            raise _Broken(f"says that it holds {count:,} {what}, which no real model does: it is damaged")
        if count * least > self._left():
            raise _Broken(f"is cut short or damaged: it says that it holds {count:,} {what}; download it again")
        return count

    def _length(self, longest: int) -> int:
        length = int(self._number("Q"))
        if length > longest:
            raise _Broken(f"says that it holds a text of {length:,} bytes, which no real model does: it is damaged")
        return length

    def _text(self, longest: int) -> str:
        return self._take(self._length(longest)).decode("utf-8", "replace")

    def _number(self, letter: str) -> Any:
        size = _SIZES[letter]
        if self._place + size <= len(self._held):
            self._place += size
            return _unpacker(self._order + letter)(self._held, self._place - size)[0]
        return struct.unpack(self._order + letter, self._take(size))[0]

    def _left(self) -> int:
        return self._size - self._begin - self._place

    def _skip(self, count: int) -> None:
        if count > self._left():
            raise _Broken("is cut short: download it again")
        self._place += count
        if self._place > len(self._held):
            self._begin += self._place
            self._check_size()
            self._file.seek(self._begin)
            self._held, self._place = b"", 0

    def _check_size(self) -> None:
        if self._begin > LARGEST_HEAD:
            raise _Broken("has a head of more than 500 MB, which no real model has: it is damaged")

    def _take(self, count: int) -> bytes:
        while len(self._held) - self._place < count:
            self._check_size()
            more = self._file.read(max(CHUNK, count))
            if not more:
                raise _Broken("is cut short: download it again" if self._size else "is empty: download it again")
            self._held, self._begin, self._place = self._held[self._place :] + more, self._begin + self._place, 0
        self._place += count
        return self._held[self._place - count : self._place]


_SIZES = {letter: struct.calcsize(f"<{letter}") for letter in NUMBERS.values()}
_UNPACKERS = {order + letter: struct.Struct(order + letter).unpack_from for order in "<>" for letter in _SIZES}


def _unpacker(form: str) -> Callable[[bytes, int], tuple[Any, ...]]:
    return _UNPACKERS[form]
