"""Exact arithmetic over expressions as people write them: whole numbers and fractions stay exact, roots, logarithms and
angles are computed to many digits. Nothing but numbers, operators and the functions below is understood."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from chatapp import UsageError, one_line
from chatapp_tools.functions import EITHER, MOST_BITS, REAL, WHOLE, Number, exact_root, need, whole
from chatapp_tools.notation import normal

PRECISIONS = (100, 150)
"""Decimal digits of two computations: what both agree on is right."""
DIGITS = 30
"""Digits that are told of what is no fraction."""
STEEPEST = 100_000
"""The largest exponent of e that is computed."""


def compute(expression: str) -> str:
    """The value: ``= 4.25 = 17/4``, ``≈ 1.414…``; UsageError in one sentence where there is none."""
    shown = one_line(expression, 100)
    try:
        text = normal(expression)
        tree = ast.parse(text, mode="eval").body
        found = [Calculator(text, digits).value(tree) for digits in PRECISIONS]
    except ZeroDivisionError:
        raise UsageError(f"{shown} divides by zero, which has no value.") from None
    except (SyntaxError, RecursionError, MemoryError):
        raise UsageError(
            f"{shown} is no expression that can be calculated: use numbers, + - * / ** ( ) and functions like sqrt."
        ) from None
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{shown} cannot be calculated: {error}.") from None
    return told(found[1]) if isinstance(found[1], Fraction) else _agreed(*found)


def told(value: Fraction) -> str:
    """A fraction: whole, as a decimal where that ends within 30 digits, else with a decimal that is near."""
    if value.denominator == 1:
        return f"= {value.numerator}"
    scale = next((places for places in range(DIGITS + 1) if 10**places % value.denominator == 0), None)
    near = _decimal(value, scale if scale is not None else DIGITS)
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > 200:
        return f"≈ {near}"
    return f"= {value.numerator}/{value.denominator} {'=' if scale is not None else '≈'} {near}"


def _decimal(value: Fraction, places: int) -> str:
    """Rounded to so many places, half to even; more of them where the value is small."""
    if value and abs(value) < 1:
        places += max(0, len(str(value.denominator)) - len(str(abs(value.numerator))) - 1) if places == DIGITS else 0
    digits = str(abs(round(value * 10**places))).rjust(places + 1, "0")
    return f"{'-' if value < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def _agreed(rough: Number, fine: Number) -> str:
    """What two computations agree on, so that rounding never shows as a digit: sin(pi) is 0, not 1e-101."""
    from mpmath import mpf, nstr  # type: ignore[import-untyped]

    apart = abs(rough - fine)
    if apart <= abs(fine) * mpf(10) ** -(DIGITS + 5):
        return f"≈ {nstr(fine, DIGITS, min_fixed=-7, max_fixed=DIGITS)}".replace(".0e", "e").removesuffix(".0")
    if abs(fine) < mpf(10) ** -(DIGITS + 5):
        return "= 0"
    raise UsageError("There is no value here that could be computed: it is infinite, or too large for its digits.")


class Calculator:
    """Values of the nodes of one expression, real numbers computed to so many digits."""

    def __init__(self, text: str, digits: int) -> None:
        self._text, self._digits = text, digits
        self._reals: Any = None

    @property
    def reals(self) -> Any:
        """mpmath in a context of our own; opened only for what is no fraction."""
        if self._reals is None:
            try:
                from mpmath.ctx_mp import MPContext  # type: ignore[import-untyped]
            except ModuleNotFoundError as error:
                raise UsageError("Roots and angles need mpmath: `pip install 'chatapp[tools]'`.") from error
            self._reals = MPContext()
            self._reals.dps = self._digits
        return self._reals

    def value(self, node: ast.expr) -> Number:
        """The value of a node; ValueError with the reason where there is none."""
        match node:
            case ast.Constant(value=int() | float()):
                found = self._number(node)
            case ast.Name(id=name) if name in ("pi", "e", "tau"):
                found = {"pi": +self.reals.pi, "e": +self.reals.e, "tau": 2 * self.reals.pi}[name]
            case ast.UnaryOp(op=ast.UAdd() | ast.USub() as sign, operand=operand):
                found = -self.value(operand) if isinstance(sign, ast.USub) else self.value(operand)
            case ast.BinOp(left=left, op=sign, right=right):
                found = self._binary(sign, self.value(left), self.value(right))
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
                found = self._call(name, [self.value(each) for each in arguments])
            case ast.Name(id=name):
                raise ValueError(f"{name!r} is no number; write the number itself")
            case _:
                raise SyntaxError
        return self._bounded(found)

    def _number(self, node: ast.Constant) -> Fraction:
        if isinstance(node.value, bool):
            raise SyntaxError
        if isinstance(node.value, int):
            return Fraction(node.value)
        written = self._text[node.col_offset : node.end_col_offset].replace("_", "")
        exponent = written.lower().partition("e")[2]
        if exponent and abs(int(exponent)) > 3000:
            raise ValueError("the number is too large or too small")
        return Fraction(written)

    def _bounded(self, value: Number) -> Number:
        if (
            isinstance(value, Fraction)
            and max(value.numerator.bit_length(), value.denominator.bit_length()) > MOST_BITS
        ):
            raise ValueError("the result has more than 3,900 digits")
        return value

    def _binary(self, sign: ast.operator, left: Number, right: Number) -> Number:
        if isinstance(sign, ast.Pow):
            return self.power(left, right)
        work = _OPERATORS.get(type(sign))
        if work is None:
            raise SyntaxError
        if type(left) is not type(right):
            left, right = self.real(left), self.real(right)
        if isinstance(sign, ast.FloorDiv) and not isinstance(left, Fraction):
            return Fraction(int(self.reals.floor(left / right)))
        found = work(left, right)
        return Fraction(found) if isinstance(found, int) else found

    def real(self, value: Number) -> Number:
        """A value as a real number of mpmath's."""
        if isinstance(value, Fraction):
            return self.reals.mpf(value.numerator) / value.denominator
        return value

    def power(self, base: Number, exponent: Number) -> Number:
        """``base ** exponent``, exact where it is a fraction."""
        if isinstance(base, Fraction) and isinstance(exponent, Fraction):
            if exponent.denominator == 1:
                size = max(base.numerator.bit_length(), base.denominator.bit_length())
                if abs(exponent) * (size - 1 if abs(base) > 1 else size) > MOST_BITS and abs(base) not in (0, 1):
                    raise ValueError("the power has more than 3,900 digits")
                return base ** int(exponent)
            root = exact_root(base, exponent.denominator)
            if root is not None:
                return self.power(root, Fraction(exponent.numerator))
        base, exponent = self.real(base), self.real(exponent)
        if base < 0:
            raise ValueError("a negative number has no real power or root like this")
        if base and abs(exponent * self.reals.ln(base)) > STEEPEST:
            raise ValueError("the power is too large or too small")
        return base**exponent

    def _call(self, name: str, values: list[Number]) -> Number:
        if name in WHOLE:
            least, most, work = WHOLE[name]
            need(name, values, least, most)
            return Fraction(work(*(whole(name, each) for each in values)))
        if name in EITHER:
            least, most, either = EITHER[name]
            need(name, values, least, most)
            found = either(self, *values)
            return Fraction(found) if isinstance(found, int) else found
        if name not in REAL:
            known = ", ".join(sorted([*WHOLE, *EITHER, *REAL]))
            raise ValueError(f"there is no function {name!r}; there are {known}")
        need(name, values, 1, 1)
        return self._real_call(name, self.real(values[0]))

    def _real_call(self, name: str, value: Number) -> Number:
        if name in ("exp", "sinh", "cosh", "tanh") and abs(value) > STEEPEST:
            raise ValueError("the result is too large or too small")
        found = getattr(self.reals, name)(value)
        if isinstance(found, self.reals.mpc) or not self.reals.isfinite(found):
            raise ValueError(f"{name} has no value there")
        return found


_OPERATORS: Mapping[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod,
}  # fmt: skip
