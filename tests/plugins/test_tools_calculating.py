"""The calculator and the clock."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from chatapp.errors import UsageError
from chatapp_tools.arithmetic import compute
from chatapp_tools.clock import told as moment
from tests.plugins.tools_support import told, tools, ui

EXACT = {
    "2 + 2": "= 4", "17/4": "= 17/4 = 4.25", "1/3": "= 1/3 ≈ 0.333333333333333333333333333333",
    "0.1 + 0.2": "= 3/10 = 0.3", "1,234.5 × 2": "= 2469", "10 ÷ 4": "= 5/2 = 2.5", "5 − 7": "= -2", "2^10": "= 1024",
    "15% of 80": "= 12", "20%": "= 1/5 = 0.2", "100 - 5% of 100": "= 95", "10 % 3": "= 1", "-7 % 3": "= 2",
    "7 // 2": "= 3", "5 mod 3": "= 2", "5!": "= 120", "3² + 4²": "= 25", "gcd(12,345)": "= 3", "lcm(4, 6)": "= 12",
    "sqrt(16)": "= 4", "8 ** (1/3)": "= 2", "sqrt(2.25)": "= 3/2 = 1.5", "cbrt(-27)": "= -3", "log(8, 2)": "= 3",
    "log10(0.001)": "= -3", "round(2.5)": "= 3", "round(-2.675, 2)": "= -67/25 = -2.68", "max(1, 2.5, pi - 3)":
    "= 5/2 = 2.5", "mean(1, 2, 6)": "= 3", "comb(5, 2)": "= 10", "floor(-1/2)": "= -1", "abs(-3)": "= 3",
    "2**64 = ?": "= 18446744073709551616", "123456789 * 987654321": "= 121932631112635269", "007 + 1": "= 8",
    "sin(pi)": "= 0", "pi // 1": "= 3", "1e3 / 1_000": "= 1", "$1,000 * 2": "= 2000", "0**0": "= 1",
}  # fmt: skip
REAL = {
    "sqrt(2)": "≈ 1.41421356237309504880168872421", "pi": "≈ 3.14159265358979323846264338328",
    "e": "≈ 2.71828182845904523536028747135", "sin(30°)": "≈ 0.5", "exp(-200)": "≈ 1.38389652673673753064868145698e-87",
    "ln(10)": "≈ 2.30258509299404568401799145468", "2 ** 0.5 - 1": "≈ 0.414213562373095048801688724210",
    "atan(1) * 4": "≈ 3.14159265358979323846264338328", "degrees(pi)": "≈ 180",
}  # fmt: skip
REFUSED = {
    "1/0": "divides by zero", "0 ** -1": "divides by zero", "9**9**9": "more than 3,900 digits",
    "2**2**100": "more than 3,900 digits", "10**3000 * 10**3000": "more than 3,900 digits",
    "factorial(10**9)": "from 0 to 5000", "1e999999": "too large", "exp(1e9)": "too large", "pi**1e9": "too large",
    "sqrt(-1)": "no real power", "log(0)": "positive numbers", "asin(2)": "no value there", "tan(pi/2)": "infinite",
    "200 + 10%": "Say of what", "10 / 15% of 80": "brackets", "": "nothing to calculate", "x + 1": "'x' is no number",
    "foo(1)": "no function 'foo'; there are", "gcd(1.5, 2)": "whole numbers", "sqrt(1, 2)": "takes 1 numbers, not 2",
    "20 30": "no expression", "2 pi": "no expression", "1 +": "no expression", "((((1)": "no expression",
    "__import__('os')": "cannot be calculated with", "(1).real": "cannot be calculated with", "[1]": "cannot",
    "__builtins__": "no number", "1 if 1 else 2": "no expression", "(" * 400 + "1" + ")" * 400: "no expression",
    "1+" * 600 + "1": "longer than", "1 < 2": "cannot be calculated with", "min(*1)": "cannot|no expression",
}  # fmt: skip


@pytest.mark.parametrize("expression", EXACT)
def test_exact_values(expression: str) -> None:
    assert compute(expression) == EXACT[expression]


@pytest.mark.parametrize("expression", REAL)
def test_real_values_to_thirty_digits(expression: str) -> None:
    assert compute(expression).removesuffix("0") == REAL[expression].removesuffix("0")


@pytest.mark.parametrize("expression", REFUSED)
def test_what_has_no_value_is_refused_in_a_sentence(expression: str) -> None:
    with pytest.raises(UsageError, match=REFUSED[expression]) as caught:
        compute(expression)
    assert len(str(caught.value)) < 400
    assert str(caught.value).endswith(".")


def test_large_values_are_whole() -> None:
    assert compute("10**3000") == "= 1" + "0" * 3000
    assert compute("factorial(1000)").startswith("= 402387260077093773543702433923003985719374864210714632543799910")


def test_fractions_need_no_library_and_the_rest_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpmath.ctx_mp", None)
    assert compute("sqrt(16) / 3 + 2 ** 3") == "= 28/3 ≈ 9.333333333333333333333333333333"
    with pytest.raises(UsageError, match="need mpmath"):
        compute("sqrt(2)")


NOON = datetime(2026, 10, 24, 12, 0, 0, tzinfo=UTC)


def test_the_clock_in_other_places_and_on_other_days() -> None:
    assert (
        moment("UTC", 0, NOON)
        == "Saturday, 24 October 2026, 12:00:00 UTC (ISO 2026-10-24T12:00:00+00:00, week 43 of 2026)"
    )
    assert "21:00:00 Asia/Tokyo (ISO 2026-10-24T21:00:00+09:00" in moment("tokyo", 0, NOON)
    assert moment("New York", -30, NOON).startswith("Thursday, 24 September 2026, 08:00:00 America/New_York")
    # The clocks go back in between: the same time of day, another offset.
    assert "13:00:00 Europe/Lisbon (ISO 2026-10-25T13:00:00+00:00" in moment("Europe/Lisbon", 1, NOON)


def test_what_is_no_place_or_no_day_is_told() -> None:
    for zone, days, why in (
        ("Tokio", 0, "did you mean Asia/Tokyo"),
        ("Nowhere at all", 0, "There is no time zone"),
        ("../x", 0, "no time zone"),
        ("", 10**7, "add_days"),
        ("", -900_000, "before the year 1"),
    ):
        with pytest.raises(UsageError, match=why):
            moment(zone, days, NOON)


async def test_both_are_tools_that_ask_nobody(tmp_path: Path) -> None:
    async with tools(tmp_path) as session:
        assert await told(session, "calculate", expression="1/8") == "1/8 = 1/8 = 0.125"
        assert await told(session, "calculate", expression="1/0") == "Failed: 1/0 divides by zero, which has no value."
        assert "week" in await told(session, "date_and_time", zone="Lisbon", add_days=7)
        assert ui(session).asked == []
