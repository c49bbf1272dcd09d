"""Which size to paint in, and which to save: models paint multiples of some pixels, small ones are enlarged.

A small model (icons) always paints about its own number of pixels; a size that is asked for is that of the saved
picture. All sizes are (width, height) in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from chatapp import EngineError

Size: TypeAlias = tuple[int, int]
SMALL_SIDE = 128
"""The longest side of a model's own size up to which it counts as small."""
LEAST_SAVED, MOST_SAVED = 16, 4096
LEAST, MOST = 64, 2048
MOST_ASPECT = 4
ROOM = 1.5
"""How many times a model's own area a picture given to it may have before it is reduced to that area."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """Size to paint in, size to save, and sentences on what was not done as asked."""

    painted: Size
    saved: Size
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """A model's own size, of what its sizes must be multiples, and what small pictures are enlarged to."""

    own: Size
    multiple: int
    shown: int

    @property
    def small(self) -> bool:
        """Whether its pictures are saved enlarged."""
        return max(self.own) <= SMALL_SIDE


def canvas(rules: Rules, width: int | None, height: int | None, given: Size | None = None) -> Canvas:
    """The sizes for a picture of `width` and `height`, where asked for, painted over one of the size `given`.

    EngineError says which sizes there are, where that is impossible.
    """
    return (_small if rules.small else _large)(rules, width, height, given)


def _small(rules: Rules, width: int | None, height: int | None, given: Size | None) -> Canvas:
    factor = max(1.0, rules.shown / max(rules.own))
    default = _scaled(rules.own, factor) if given is None else _within(given, max(rules.shown, *rules.own))
    saved = _asked(width, height, default)
    _limit(saved, LEAST_SAVED, MOST_SAVED)
    aspect = (saved[0] / saved[1]) ** 0.5
    area = (rules.own[0] * rules.own[1]) ** 0.5
    painted = _rounded((area * aspect, area / aspect), rules.multiple)
    return Canvas(painted, saved)


def _large(rules: Rules, width: int | None, height: int | None, given: Size | None) -> Canvas:
    notes: tuple[str, ...] = ()
    default = rules.own
    if given is not None:
        most = rules.own[0] * rules.own[1] * ROOM
        area = given[0] * given[1]
        default = given if area <= most else _scaled(given, (rules.own[0] * rules.own[1] / area) ** 0.5)
        if default != given and width is None and height is None:
            notes = (f"The picture was reduced from {_text(given)} to what the model can take.",)
    wanted = _asked(width, height, default)
    _limit(wanted, LEAST, MOST)
    painted = _rounded(wanted, rules.multiple)
    if painted != wanted and (width is not None or height is not None):
        notes = (
            f"{_text(wanted)} was rounded to {_text(painted)}, as the model paints multiples of {rules.multiple} "
            "pixels.",
        )
    return Canvas(painted, painted, notes)


def _asked(width: int | None, height: int | None, default: Size) -> Size:
    """What was asked for; a side that was not keeps the default's proportions."""
    if width is None and height is None:
        return default
    if width is None or height is None:
        ratio = default[0] / default[1]
        return (width, round(width / ratio)) if width is not None else (round((height or 0) * ratio), height or 0)
    return width, height


def _limit(size: Size, least: int, most: int) -> None:
    if min(size) < least or max(size) > most:
        raise EngineError(f"A picture of {_text(size)} cannot be painted: choose sides from {least} to {most} pixels.")
    if max(size) > MOST_ASPECT * min(size):
        raise EngineError(f"A picture of {_text(size)} is too narrow: one side may be {MOST_ASPECT} times the other.")


def _within(size: Size, most: int) -> Size:
    """The size, reduced so that its longest side is at most `most`."""
    return size if max(size) <= most else _scaled(size, most / max(size))


def _scaled(size: Size, factor: float) -> Size:
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def _rounded(size: tuple[float, float], multiple: int) -> Size:
    """The nearest multiples; at least two of them, as the least that a U-Net can halve."""
    width, height = (max(2, round(side / multiple)) * multiple for side in size)
    return width, height


def _text(size: Size) -> str:
    return f"{size[0]}×{size[1]}"
