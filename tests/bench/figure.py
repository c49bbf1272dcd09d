"""What a measurement gives."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured value with its target; `samples` are what it was taken from, `at_least` says the target's side."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = True
    samples: tuple[tuple[float, float], ...] = ()
    about: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target

    def as_json(self) -> dict[str, Any]:
        """The figure as JSON values."""
        return {**asdict(self), "met": self.met}

    def line(self) -> str:
        """One line to read."""
        verdict = {None: "", True: "  met", False: "  NOT MET"}[self.met]
        side = "at least" if self.at_least else "at most"
        target = f"  ({side} {self.target:g} {self.unit})" if self.target is not None else ""
        return f"{self.name:<44} {self.value:9.3f} {self.unit:<9}{target}{verdict}"


def median_ratio(pairs: Iterable[tuple[float, float]]) -> float:
    """The median of first / second over pairs that were measured next to one another."""
    return statistics.median(first / second for first, second in pairs)


def median_difference(pairs: Iterable[tuple[float, float]]) -> float:
    """The median of first - second over pairs that were measured next to one another."""
    return statistics.median(first - second for first, second in pairs)
