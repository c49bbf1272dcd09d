"""The functions that expressions may call, over fractions and mpmath's real numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial
from typing import Any, Protocol, TypeAlias

Number: TypeAlias = Any
"""A Fraction, or a real number of mpmath's."""
MOST_BITS = 13_000
"""Bits of the largest whole number, just under 4,000 digits."""


class Computes(Protocol):
    """What computes: `reals` is mpmath's context."""

    @property
    def reals(self) -> Any:
        """mpmath in a context of its own."""
        ...

    def real(self, value: Number) -> Number:
        """A value as a real number."""
        ...

    def power(self, base: Number, exponent: Number) -> Number:
        """A power, exact where it is a fraction."""
        ...


def exact_root(value: Fraction, degree: int) -> Fraction | None:
    """The exact root, None where it is no fraction."""
    if degree > 100 or value < 0:
        return None
    above, below = (_whole_root(part, degree) for part in (value.numerator, value.denominator))
    return None if above is None or below is None else Fraction(above, below)


def _whole_root(value: int, degree: int) -> int | None:
    low, high = 0, 1 << (value.bit_length() // degree + 1)
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**degree < value else (low, middle)
    return low if low**degree == value else None


def whole(name: str, value: Number) -> int:
    """A value as the whole number that `name` takes; ValueError where it is none."""
    if not isinstance(value, Fraction) or value.denominator != 1:
        raise ValueError(f"{name} takes whole numbers only")
    if name in ("factorial", "comb", "perm") and not 0 <= value <= 5000:
        raise ValueError(f"{name} takes numbers from 0 to 5000")
    return int(value)


def need(name: str, values: list[Number], least: int, most: int) -> None:
    """ValueError where `name` does not take so many numbers."""
    if not least <= len(values) <= most:
        raise ValueError(f"{name} takes {least if least == most else f'{least} or more'} numbers, not {len(values)}")


def _rounded(how: str, self: Computes, value: Number) -> Number:
    """Rounded to a whole number; a real one by the context, which is exact enough for it."""
    if isinstance(value, Fraction):
        return getattr(math, how)(value)
    return Fraction(int(getattr(self.reals, how)(value)))


def _round(self: Computes, value: Number, places: Number = Fraction(0)) -> Fraction:
    scale = Fraction(10) ** max(-1000, min(whole("round", places), 1000))
    # Half away from zero, as people round; Python would round 2.5 to 2.
    scaled = value * scale if isinstance(value, Fraction) else value * self.real(scale)
    half = Fraction(1, 2) if isinstance(value, Fraction) else self.real(Fraction(1, 2))
    size = _rounded("floor", self, abs(scaled) + half)
    return Fraction(int(size)) / scale * (-1 if value < 0 else 1)


def _log(self: Computes, value: Number, base: Number | None = None) -> Number:
    if value <= 0 or (base is not None and (base <= 0 or base == 1)):
        raise ValueError("logarithms are of positive numbers only")
    found = self.reals.ln(self.real(value))
    if base is None:
        return found
    quotient = found / self.reals.ln(self.real(base))
    near = Fraction(int(self.reals.nint(quotient)))
    exact = isinstance(value, Fraction) and isinstance(base, Fraction) and abs(near) < MOST_BITS and base**near == value
    return near if exact else quotient


def _mean(self: Computes, *values: Number) -> Number:
    return _sum(self, *values) / len(values)


def _sum(self: Computes, *values: Number) -> Number:
    exact = all(isinstance(each, Fraction) for each in values)
    return sum(values) if exact else self.reals.fsum(map(self.real, values))


WHOLE: Mapping[str, tuple[int, int, Callable[..., int]]] = {
    "factorial": (1, 1, math.factorial), "gcd": (1, 50, math.gcd), "lcm": (1, 50, math.lcm),
    "comb": (2, 2, math.comb), "perm": (2, 2, math.perm),
}  # fmt: skip
"""Functions of whole numbers: how many they take, least and most."""
EITHER: Mapping[str, tuple[int, int, Callable[..., Number]]] = {
    "sqrt": (1, 1, lambda self, value: self.power(value, Fraction(1, 2))),
    "cbrt": (1, 1, lambda self, value: self.power(abs(value), Fraction(1, 3)) * (-1 if value < 0 else 1)),
    "abs": (1, 1, lambda self, value: abs(value)),
    "floor": (1, 1, partial(_rounded, "floor")), "ceil": (1, 1, partial(_rounded, "ceil")),
    "round": (1, 2, _round), "min": (1, 50, lambda self, *values: min(values, key=self.real)),
    "max": (1, 50, lambda self, *values: max(values, key=self.real)), "sum": (1, 50, _sum), "mean": (1, 50, _mean),
    "log": (1, 2, _log), "ln": (1, 1, _log), "log10": (1, 1, lambda self, value: _log(self, value, Fraction(10))),
    "log2": (1, 1, lambda self, value: _log(self, value, Fraction(2))),
}  # fmt: skip
"""Functions that stay exact where they can."""
REAL = frozenset({"exp", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "degrees", "radians"})
"""Functions that are computed to many digits; angles are in radians."""
