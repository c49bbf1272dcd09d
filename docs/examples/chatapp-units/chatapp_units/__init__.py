"""Convert units of measurement: lengths, weights, volumes, temperatures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from chatapp import Action, Session, UsageError, action, hookimpl, similar

# One and zero of each unit in metres, kilograms, litres or kelvin. Pints and gallons are those of the United States.
UNITS: dict[str, dict[str, tuple[float, float]]] = {
    "a length": {
        "cm": (0.01, 0),
        "m": (1, 0),
        "km": (1000, 0),
        "in": (0.0254, 0),
        "ft": (0.3048, 0),
        "mi": (1609.344, 0),
    },
    "a weight": {"g": (0.001, 0), "kg": (1, 0), "t": (1000, 0), "oz": (0.028349523125, 0), "lb": (0.45359237, 0)},
    "a volume": {"ml": (0.001, 0), "l": (1, 0), "pt": (0.473176473, 0), "gal": (3.785411784, 0)},
    "a temperature": {"K": (1, 0), "C": (1, 273.15), "F": (5 / 9, 459.67 * 5 / 9)},
}
KIND = {name: kind for kind, units in UNITS.items() for name in units}


def convert(value: float, unit: str, to: str) -> float:
    """The same in another unit; UsageError for a unit that is unknown or measures something else."""
    for name in (unit, to):
        if name not in KIND:
            near = similar(name, KIND) or "km"
            raise UsageError(f"There is no unit {name!r}; there is {near!r}, for instance.")
    if KIND[unit] != KIND[to]:
        raise UsageError(f"{unit} measures {KIND[unit]} and {to} measures {KIND[to]}.")
    (factor, zero), (other, other_zero) = UNITS[KIND[unit]][unit], UNITS[KIND[to]][to]
    return (value * factor + zero - other_zero) / other


def _names(session: Session, prefix: str) -> Iterable[str]:
    return KIND


@action("units", tool=True, consent="free")
async def units(
    session: Session,
    value: Annotated[float, "How many, such as 26.2"],
    unit: Annotated[str, "The unit it is in, such as mi, kg or F", _names],
    to: Annotated[str, "The unit that is wanted, such as km, lb or C", _names],
) -> str:
    """Convert a measurement into another unit. Use it instead of computing it yourself."""
    return f"{value:g} {unit} = {convert(value, unit, to):.6g} {to}"


@hookimpl
def actions() -> Iterable[Action]:
    """Declare the command, which is a tool too."""
    return [units]
