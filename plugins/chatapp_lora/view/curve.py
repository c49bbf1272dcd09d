"""Two losses over the steps as a curve: on the training data and on what was held out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from textual.color import Color
from textual.widget import Widget
from textual.widgets import Sparkline

if TYPE_CHECKING:
    from textual.app import App

Points: TypeAlias = Sequence[tuple[int, float]]
COLOURS = ("primary", "warning")
"""The theme's colours for the two."""
TICKS = 4


def curve() -> Widget:
    """The widget that draws it: a plot, or a line of bars where textual-plotext is not installed."""
    try:
        return _plot_class()()  # type: ignore[no-any-return]
    except ImportError:
        return Bars()


class Bars(Sparkline):
    """The training loss alone, as bars."""

    DEFAULT_CSS = "Bars { height: 3; width: 1fr; }"

    def draw(self, losses: Points, held_out: Points, total: int) -> None:
        """Show these losses; the width is filled as the training goes on."""
        done = [loss for _, loss in losses]
        self.data = [*done, *[0.0] * (total - len(done))]


@cache
def _plot_class() -> Any:
    from textual_plotext import PlotextPlot

    class Plot(PlotextPlot):  # type: ignore[misc]
        """Both losses as lines."""

        DEFAULT_CSS = "Plot { width: 1fr; }"

        def draw(self, losses: Points, held_out: Points, total: int) -> None:
            """Show these losses over `total` steps: a line, and a point wherever the held-out loss was taken."""
            plot = self.plt
            plot.clear_data()
            plot.xaxes(True, False)
            plot.yaxes(True, False)
            across, up = round_numbers(0, max(total, 1)), round_numbers(*limits(losses, held_out))
            plot.xlim(0, max(total, 1))
            plot.ylim(up[0], up[-1])
            plot.xticks([each for each in across if each <= total])
            plot.yticks(up)
            for points, name, draw in zip((losses, held_out), COLOURS, (plot.plot, plot.scatter), strict=True):
                steps, values = [step for step, _ in points], [value for _, value in points]
                # A line of one point is none, and its marker would be a dot that nobody sees.
                marker = "●" if draw == plot.scatter or len(points) == 1 else "braille"
                draw(steps, values, marker=marker, color=rgb(self.app, name))
            self.refresh()

    return Plot


def limits(losses: Points, held_out: Points) -> tuple[float, float]:
    """The least and the greatest loss on the axis: from nothing on, unless all losses are far from it and differ."""
    values = [value for _, value in (*losses, *held_out)]
    if not values:
        return 0.0, 1.0
    least, most = min(values), max(values)
    return (least if most / 2 < least < 0.9 * most else 0.0), most or 1.0


def round_numbers(least: float, most: float) -> list[float]:
    """Round numbers from `least` or below to `most` or above, at most `TICKS` and one."""
    span = max(most - least, 1e-6)
    power = 10.0 ** math.floor(math.log10(span / TICKS))
    step = next(each * power for each in (1, 2, 5, 10, 20) if span / (each * power) <= TICKS)
    first, last = math.floor(least / step + 1e-9), math.ceil(most / step - 1e-9)
    return [round(number * step, 6) for number in range(first, last + 1)]


def rgb(app: App[Any], name: str) -> tuple[int, int, int]:
    """A colour of the app's theme."""
    return Color.parse(app.theme_variables[name]).rgb
