"""Vectors as an embedding model gives them: many numbers that are passed on and compared."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

FLOAT = 4
"""Bytes of one component of a vector."""


@dataclass(frozen=True, slots=True)
class Vectors(Sequence[list[float]]):
    """Vectors of `dimensions` components: `data` holds them one after another as 32-bit floats of this machine.

    Read as a sequence it gives lists of numbers. Whoever passes many on takes `data`, which costs nothing.
    """

    dimensions: int
    data: bytes

    @classmethod
    def of(cls, rows: Sequence[Sequence[float]]) -> Vectors:
        """Vectors of equal length, from numbers."""
        return cls(len(rows[0]) if rows else 0, array("f", [value for row in rows for value in row]).tobytes())

    def __len__(self) -> int:
        return len(self.data) // (FLOAT * self.dimensions) if self.dimensions else 0

    @overload
    def __getitem__(self, place: int) -> list[float]: ...

    @overload
    def __getitem__(self, place: slice) -> Vectors: ...

    def __getitem__(self, place: int | slice) -> list[float] | Vectors:
        if isinstance(place, slice):
            return Vectors.of([self[each] for each in range(*place.indices(len(self)))])
        width = FLOAT * self.dimensions
        start = range(len(self))[place] * width
        return array("f", self.data[start : start + width]).tolist()
