"""How fast, how far and how long still: the arithmetic and the wording of `Progress`, for every surface.

No clock is read unless the caller gives none. Sizes are decimal, as disks and download pages state them
(1 GB = 1,000,000,000 bytes).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from chatapp.events import Progress

SMOOTHING_SECONDS = 3.0
"""Time constant of the average: a change of speed shows to about two thirds after this long."""

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


@dataclass(slots=True)
class Rate:
    """The smoothed speed of one job, fed with how much of it is done.

    Amounts are in the job's own unit, times in seconds on any clock that does not go back. What was done before the
    first `feed` (a resumed download) does not count as speed, and going backwards starts anew.
    """

    per_second: float | None = field(default=None, init=False)
    seconds_left: float | None = field(default=None, init=False)
    _done: float | None = field(default=None, init=False)
    _now: float = field(default=0.0, init=False)

    def feed(self, done: float, total: float | None = None, now: float | None = None) -> None:
        """Tell that `done` of `total` (None: unknown) were done at `now` (None: this moment)."""
        now = time.monotonic() if now is None else now
        if self._done is None or done < self._done:
            self.per_second, self._done, self._now = None, done, now
        elif now > self._now:
            self._blend((done - self._done) / (now - self._now), now - self._now)
            self._done, self._now = done, now
        self.seconds_left = self._left(done, total)

    def _blend(self, latest: float, seconds: float) -> None:
        if self.per_second is None:
            self.per_second = latest
        else:
            # The weight follows the time that passed, so that reports in bursts do not count for more.
            weight = 1 - math.exp(-seconds / SMOOTHING_SECONDS)
            self.per_second += weight * (latest - self.per_second)

    def _left(self, done: float, total: float | None) -> float | None:
        if total is None or not self.per_second:
            return None
        return max(0.0, (total - done) / self.per_second)


def human_bytes(count: float) -> str:
    """A size in decimal units: "0 B", "412 MB", "1.1 GB"; below ten a decimal is kept."""
    value, unit = float(count), 0
    # 999.5 would be printed as 1000, so it already belongs to the next unit.
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    digits = 1 if unit and value < 9.95 else 0
    return f"{value:.{digits}f} {_UNITS[unit]}"


def human_seconds(seconds: float) -> str:
    """A time span: "18 s", "2 min 5 s", "1 h 12 min", "3 days"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} days"


def describe(progress: Progress, rate: Rate | None = None) -> str:
    """One line without the label: "412 MB of 1.1 GB, 38 MB/s, 18 s left", "3 of 12 files".

    A report of nothing done of an unknown total (a step that only waits) gives the empty string.
    """
    parts = [_amount(progress)] if progress.done or progress.total is not None else []
    if rate is not None and rate.per_second and progress.unit != "%":
        parts.append(f"{_quantity(rate.per_second, progress.unit)}/s")
        if rate.seconds_left is not None and not _complete(progress):
            parts.append(f"{human_seconds(rate.seconds_left)} left")
    return ", ".join(parts)


def fraction(progress: Progress) -> float | None:
    """How much is done, between 0 and 1; None while the total is unknown."""
    if progress.total is None:
        return None
    return 1.0 if progress.total <= 0 else min(1.0, max(0.0, progress.done / progress.total))


def _complete(progress: Progress) -> bool:
    return progress.total is not None and progress.done >= progress.total


def _amount(progress: Progress) -> str:
    if progress.total is None:
        return _quantity(progress.done, progress.unit)
    if progress.unit == "%":
        return f"{_count(progress.done)} %"
    if progress.unit == "bytes":
        return f"{human_bytes(progress.done)} of {human_bytes(progress.total)}"
    return f"{_count(progress.done)} of {_quantity(progress.total, progress.unit)}"


def _quantity(value: float, unit: str) -> str:
    return human_bytes(value) if unit == "bytes" else f"{_count(value)} {unit}".rstrip()


def _count(value: float) -> str:
    """A count with thousands separated; below ten a fraction keeps one decimal."""
    return f"{value:,.1f}" if value < 9.95 and value != int(value) else f"{value:,.0f}"


async def reported(work: Callable[[Callable[[Progress], None]], Awaitable[Any]]) -> AsyncGenerator[Progress, None]:
    """Run `work`, which is handed a function to report with, and yield what it reports; raises what it raises.

    Closing the iterator cancels the work and waits for its end.
    """
    news: asyncio.Queue[Progress | None] = asyncio.Queue()
    working = asyncio.ensure_future(work(news.put_nowait))
    working.add_done_callback(lambda _: news.put_nowait(None))
    try:
        while (progress := await news.get()) is not None:
            yield progress
        await working
    finally:
        working.cancel()
        await asyncio.wait([working])
