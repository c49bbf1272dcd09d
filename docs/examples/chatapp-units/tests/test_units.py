"""Conversions by hand, in the shell, and by the model."""

from __future__ import annotations

from types import ModuleType

import chatapp_units
import pytest

from chatapp import Session, Text, UsageError, completed
from chatapp.testing import ScriptedEngine, Shell, run_action


@pytest.fixture
def plugins() -> list[ModuleType]:
    """What is tested."""
    return [chatapp_units]


@pytest.mark.parametrize(
    ("value", "unit", "to", "expected"),
    [
        (26.2, "mi", "km", 42.1648),
        (100, "C", "F", 212),
        (-40, "F", "C", -40),
        (0, "K", "C", -273.15),
        (1, "lb", "g", 453.592),
    ],
)
def test_convert(value: float, unit: str, to: str, expected: float) -> None:
    assert chatapp_units.convert(value, unit, to) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("unit", "to", "wrong"),
    [("kgs", "lb", "there is 'kg'"), ("parsec", "km", "no unit 'parsec'"), ("kg", "km", "kg measures a weight")],
)
def test_what_cannot_be_converted(unit: str, to: str, wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        chatapp_units.convert(1, unit, to)


async def test_the_command(session: Session) -> None:
    assert await run_action(session, "units", "3 km mi") == [Text("3 km = 1.86411 mi")]


def test_the_shell(shell: Shell) -> None:
    assert shell("units 100 C F").out == "100 C = 212 F\n"
    assert shell("units -40 C F").out == "-40 C = -40 F\n"
    ran = shell("units 1 kg km")
    assert (ran.code, ran.err) == (2, "Error: kg measures a weight and km measures a length.\n")


async def test_the_model_converts(session: Session, engine: ScriptedEngine) -> None:
    engine.calls("units", value=26.2, unit="mi", to="km").says("42 km.")
    turn = await completed(session, "How long is a marathon?")
    assert engine.sent[-1] == ("tool", "26.2 mi = 42.1648 km")
    assert turn.text == "42 km."
