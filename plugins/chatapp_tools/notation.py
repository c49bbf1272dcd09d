"""How people write calculations, turned into one notation: 1,234.5 × 15% of 80, 5!, 30°, 2^10."""

from __future__ import annotations

import re

from chatapp import UsageError

LONGEST = 1000
"""Characters of an expression."""
_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "²": "^2", "³": "^3", "π": " pi ",
                        "\u00a0": " ", "\u202f": " ", "√": " sqrt ", "$": " ", "€": " "})  # fmt: skip
_TOKEN = re.compile(
    r"(?P<space>\s+)|(?P<number>\d{1,3}(?:,\d{3})+(?:\.\d+)?(?![\d,])|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_]\w*)|(?P<sign>\*\*|//|[-+*/%^()!°,])"
)
_PLAIN = re.compile(r"(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_OPERAND = re.compile(r"\s*(?:[\d.(]|(?!of\b)[A-Za-z])")


def normal(text: str) -> str:
    """The expression in Python's notation; UsageError for what is none, or is too long."""
    text = text.translate(_SIGNS).strip().removesuffix("?").rstrip().removesuffix("=")
    if not text.strip():
        raise UsageError("There is nothing to calculate: give an expression like (17 + 4) * 2.")
    if len(text) > LONGEST:
        raise UsageError(f"The expression is longer than {LONGEST} characters: calculate it in parts.")
    return _Writer(text).written()


class _Writer:
    """Rewrites one expression, token by token."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._out: list[str] = []
        self._calls: list[bool] = []
        self._place = 0

    def written(self) -> str:
        """The whole expression."""
        while self._place < len(self._text):
            match = _TOKEN.match(self._text, self._place)
            if match is None:
                sign = self._text[self._place]
                raise UsageError(f"{sign!r} cannot be calculated with: use numbers, + - * / ** % ( ) and functions.")
            # Inside a function's brackets a comma stands between two numbers: gcd(12,345).
            if match["number"] and any(self._calls[-1:]):
                match = _PLAIN.match(self._text, self._place) or match
                self._number(match[0])
            elif match["number"]:
                self._number(match[0])
            elif match["name"]:
                self._name(match[0])
            elif match["sign"]:
                self._sign(match[0], match.end())
            self._place = match.end()
        return " ".join(self._out)

    def _number(self, written: str) -> None:
        digits = written.replace(",", "").replace("_", "")
        # Python refuses 007, people do not.
        self._out.append(digits.lstrip("0") if re.fullmatch(r"0+[1-9]\d*", digits) else digits)

    def _name(self, name: str) -> None:
        words = {"of": "*", "mod": "%", "times": "*", "plus": "+", "minus": "-"}
        self._out.append(words.get(name.lower(), name if name == "e" else name.lower()))
        if name.lower() == "sqrt" and (match := re.match(r"\s*(\d+(?:\.\d+)?)", self._text[self._place + 4 :])):
            # A root sign binds what stands right after it.
            raise UsageError(f"Write sqrt({match[1]}) with brackets.")

    def _sign(self, sign: str, end: int) -> None:
        if sign == "(":
            self._calls.append(bool(self._out) and self._out[-1].isidentifier())
        elif sign == ")" and self._calls:
            self._calls.pop()
        if sign == "%" and not _OPERAND.match(self._text, end):
            self._percent(bool(re.match(r"\s*of\b", self._text[end:])))
        elif sign == "!":
            self._factorial()
        elif sign == "°":
            self._wrap("* pi / 180", "an angle as 30°")
        else:
            self._out.append("**" if sign == "^" else sign)

    def _percent(self, of: bool) -> None:
        before = self._out[-2] if len(self._out) > 1 else ""
        if before in ("+", "-") and not of and len(self._out) > 2:
            raise UsageError("Say of what the percent are: for 200 + 10% write 200 + 10% of 200.")
        if before in ("/", "//", "%", "**"):
            raise UsageError("Put brackets around the percent: 10 / (15% of 80).")
        self._wrap("/ 100", "a percentage as 15%")

    def _wrap(self, rest: str, form: str) -> None:
        if not self._out or not self._out[-1][:1].isdigit():
            raise UsageError(f"Write {form}, with a number before the sign.")
        self._out[-1] = f"({self._out[-1]} {rest})"

    def _factorial(self) -> None:
        if not self._out or not self._out[-1].isdigit():
            raise UsageError("Write a factorial as factorial(5).")
        self._out[-1] = f"factorial({self._out[-1]})"
