"""Speed, time left and wording of progress."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import pytest

from chatapp.events import Progress
from chatapp.progress import Rate, describe, fraction, human_bytes, human_seconds, reported


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9_940, "9.9 kB"),
        (9_960, "10 kB"),
        (412_000_000, "412 MB"),
        (999_600_000, "1.0 GB"),
        (1_117_320_768, "1.1 GB"),
        (2e18, "2000 PB"),
    ],
)
def test_sizes_are_decimal(count: float, text: str) -> None:
    assert human_bytes(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (125, "2 min 5 s"), (4330, "1 h 12 min"), (260_000, "3 days")],
)
def test_time_spans(seconds: float, text: str) -> None:
    assert human_seconds(seconds) == text


def fed(*points: tuple[float, float], total: float | None = None) -> Rate:
    rate = Rate()
    for now, done in points:
        rate.feed(done, total, now)
    return rate


def test_the_first_report_gives_no_speed() -> None:
    rate = fed((5.0, 100.0), total=200)
    assert rate.per_second is None
    assert rate.seconds_left is None


def test_a_steady_job_has_its_speed_and_time_left() -> None:
    rate = fed(*((second, 10.0 * second) for second in range(6)), total=100)
    assert rate.per_second == pytest.approx(10)
    assert rate.seconds_left == pytest.approx(5)


def test_what_was_done_before_does_not_count_as_speed() -> None:
    rate = fed((0, 900.0), (1, 910.0), total=1000)
    assert rate.per_second == pytest.approx(10)


def test_a_change_of_speed_shows_gradually_and_then_fully() -> None:
    rate = fed((0, 0), (1, 10), (2, 40))
    assert rate.per_second is not None
    assert 10 < rate.per_second < 30
    for second in range(3, 40):
        rate.feed(40 + 30 * (second - 2), now=second)
    assert rate.per_second == pytest.approx(30, rel=0.01)


def test_reports_in_a_burst_weigh_no_more_than_one() -> None:
    one = fed((0, 0), (1, 10), (2, 40))
    many = fed((0, 0), (1, 10), *((1 + part / 10, 10 + 3 * part) for part in range(1, 11)))
    assert many.per_second == pytest.approx(one.per_second, rel=0.01)


def test_two_reports_at_the_same_moment_are_one() -> None:
    rate = fed((0, 0), (0, 50), (1, 60), total=100)
    assert rate.per_second == pytest.approx(60)


def test_going_backwards_starts_anew() -> None:
    rate = fed((0, 0), (1, 100), (2, 20))
    assert rate.per_second is None
    rate.feed(30, now=3)
    assert rate.per_second == pytest.approx(10)


def test_a_line_of_a_download() -> None:
    rate = fed((0, 374_000_000), (1, 412_000_000), total=1_117_320_768)
    progress = Progress("Downloading", 412_000_000, 1_117_320_768, "bytes")
    assert describe(progress, rate) == "412 MB of 1.1 GB, 38 MB/s, 19 s left"


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (Progress("Waiting"), ""),
        (Progress("Reading", 3, 12, "files"), "3 of 12 files"),
        (Progress("Reading", 1204, 3000, "tokens"), "1,204 of 3,000 tokens"),
        (Progress("Working", 0.5, 2), "0.5 of 2"),
        (Progress("Copying", 2048, None, "bytes"), "2.0 kB"),
        (Progress("Copying", 0, 10_000_000, "bytes"), "0 B of 10 MB"),
    ],
)
def test_lines_without_a_speed(progress: Progress, text: str) -> None:
    assert describe(progress) == text


def test_a_complete_job_says_no_time_left() -> None:
    assert describe(Progress("Done", 20, 20, "files"), fed((0, 0), (1, 20), total=20)) == "20 of 20 files, 20 files/s"
    assert describe(Progress("Loading", 45, 100, "%"), fed((0, 0), (1, 45), total=100)) == "45 %"


@pytest.mark.parametrize(
    ("done", "total", "expected"), [(1, None, None), (0, 0, 1.0), (5, 10, 0.5), (12, 10, 1.0), (-1, 10, 0.0)]
)
def test_fraction(done: float, total: float | None, expected: float | None) -> None:
    assert fraction(Progress("", done, total)) == expected


async def test_work_is_reported_as_it_goes_and_what_it_raises_comes_last() -> None:
    async def work(report: Callable[[Progress], None]) -> None:
        report(Progress("One"))
        await asyncio.sleep(0)
        report(Progress("Two"))
        raise ValueError("broken")

    news = reported(work)
    assert [(await anext(news)).label for _ in range(2)] == ["One", "Two"]
    with pytest.raises(ValueError, match="broken"):
        await anext(news)


async def test_closing_the_reports_cancels_the_work() -> None:
    ended = []

    async def work(report: Callable[[Progress], None]) -> None:
        try:
            report(Progress("One"))
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async with aclosing(reported(work)) as news:
        assert (await anext(news)).label == "One"
    assert ended == [True]
