"""Work under way: those who look are told of changes, and a number finds it while it is there."""

from __future__ import annotations

import gc
from dataclasses import dataclass

from chatapp import Watched


@dataclass(eq=False)
class Baking(Watched):
    """Something that is looked at."""

    cake: str


@dataclass(eq=False)
class Sailing(Watched):
    """Something else."""


def test_who_looks_is_told_until_it_looks_away() -> None:
    baking, told = Baking("plum"), list[str]()
    forget = baking.watch(lambda: told.append("a"))
    baking.watch(lambda: told.append("b"))
    baking.changed()
    forget()
    forget()
    baking.changed()
    assert told == ["a", "b", "b"]


def test_looking_away_while_being_told_keeps_nobody_from_hearing() -> None:
    baking, told = Baking("plum"), list[str]()
    forget = baking.watch(lambda: forget())
    baking.watch(lambda: told.append("b"))
    baking.changed()
    assert told == ["b"]


def test_a_number_finds_what_is_still_there_and_of_its_kind() -> None:
    baking = Baking("plum")
    number = baking.number
    assert Baking.numbered(number) is baking
    assert Sailing.numbered(number) is None
    assert Baking.numbered("1") is None
    assert Sailing().number != number
    del baking
    gc.collect()
    assert Baking.numbered(number) is None
