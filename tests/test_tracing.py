"""What hook calls take is kept, and the trace prints them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatapp.context import Block
from chatapp.events import Event, Finished
from chatapp.host import Host
from chatapp.session import Session
from chatapp.testing import RecordingUI, script
from chatapp.timing import RECENT, TURNS, Call, Calls
from chatapp.tracing import LONGEST_RESULT, Trace, masked
from chatapp.turn import Turn
from tests.support_models import soon
from tests.support_plugins import send
from tests.test_hooks import plugin

PAUSE = 0.05
"""Seconds that a slow hook takes. A clock that ticks coarsely may make it a little less."""


def calls_of(host: Host, name: str, hook: str = "") -> list[Call]:
    """The calls of one plugin."""
    return [each for each in host.hooks.calls.recent if each.plugin == name and hook in ("", each.hook)]


async def test_a_turns_calls_are_kept_in_order(session: Session) -> None:
    session.host.add("first", plugin(context=lambda turn: [Block("One"), Block("Two")], prepare_request=lambda: None))
    await send(session)
    kept = [(each.hook, each.result, each.error, each.turn) for each in calls_of(session.host, "first")]
    assert kept == [("context", "2 Block", "", 1), ("prepare_request", "nothing", "", 1)]
    await send(session)
    assert [each.turn for each in calls_of(session.host, "first")] == [1, 1, 2, 2]
    assert session.host.hooks.calls.finished == 2


async def test_waiting_is_not_holding(session: Session) -> None:
    async def context(turn: Turn) -> AsyncIterator[Block]:
        await asyncio.sleep(PAUSE)
        yield Block("Waited")

    async def held(turn: Turn) -> list[Block]:
        time.sleep(PAUSE)  # noqa: ASYNC251 - to hold the event loop is what is measured
        await asyncio.sleep(PAUSE)
        return []

    session.host.add("waits", plugin(context=context))
    session.host.add("holds", plugin(context=held))
    await send(session)
    (waits,), (holds,) = calls_of(session.host, "waits"), calls_of(session.host, "holds")
    assert waits.seconds > 0.9 * PAUSE
    assert waits.held < waits.seconds - 0.5 * PAUSE
    assert holds.held > 0.9 * PAUSE
    assert holds.seconds > holds.held + 0.9 * PAUSE


async def test_a_transforms_own_time(session: Session) -> None:
    async def passing(stream: AsyncIterator[Event]) -> AsyncIterator[Event]:
        async for event in stream:
            yield event

    async def slow(stream: AsyncIterator[Event]) -> AsyncIterator[Event]:
        async for event in stream:
            time.sleep(PAUSE)  # noqa: ASYNC251 - as above
            yield event

    for name, transform in (("inner", slow), ("outer", passing)):
        session.host.add(name, plugin(transform_stream=transform))
    script(session).delay = PAUSE
    assert await send(session, says="one two") == "one two"
    (inner,), (outer,) = calls_of(session.host, "inner"), calls_of(session.host, "outer")
    # Two words, the usage and the end: each is paused at once by the engine and once by the inner transform.
    assert inner.result == outer.result == "4 events"
    assert 4 * 0.9 * PAUSE < inner.held <= inner.seconds < inner.held + 4 * PAUSE
    assert outer.seconds < inner.seconds


async def test_a_transform_that_is_stopped_or_fails(session: Session) -> None:
    async def broken(stream: AsyncIterator[Event]) -> AsyncIterator[Event]:
        async for event in stream:
            yield event
            raise ValueError("broken")

    async def fine(stream: AsyncIterator[Event]) -> AsyncIterator[Event]:
        async for event in stream:
            yield event

    session.host.add("broken", plugin(transform_stream=broken))
    session.host.add("fine", plugin(transform_stream=fine))
    assert await send(session, says="one two three") == "one two three"
    script(session).says("one two three")
    events = session.send("Hi")
    await anext(events)
    await events.aclose()
    assert [(each.result, each.error) for each in calls_of(session.host, "broken")] == [
        ("1 events", "ValueError: broken"),
        ("1 events", ""),
    ]
    assert [each.result for each in calls_of(session.host, "fine")] == ["5 events", "1 events"]


async def test_a_call_that_fails_and_one_that_is_cancelled(session: Session) -> None:
    def fails(turn: Turn) -> None:
        raise ValueError("no good")

    session.host.add("fails", plugin(context=fails, turn_finished=lambda turn: None))
    session.host.add("waits", plugin(context=lambda turn: asyncio.sleep(600)))
    sending = asyncio.ensure_future(send(session))
    await soon(lambda: calls_of(session.host, "fails"))
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    (failed,) = calls_of(session.host, "fails", "context")
    assert (failed.result, failed.error) == ("nothing", "ValueError: no good")
    assert session.host.hooks.calls.ended[0].errors == {"fails": ["context: ValueError: no good"]}
    assert calls_of(session.host, "waits")[0].result == "stopped"


async def test_what_is_kept_is_bounded(session: Session) -> None:
    session.host.add("many", plugin(prepare_request=lambda: None, render_part=lambda part: None))
    for _ in range(TURNS + 2):
        await send(session)
    for _ in range(RECENT + 1):
        session.host.hooks.first("render_part", part=None)
    calls = session.host.hooks.calls
    assert (len(calls.recent), len(calls.ended), calls.finished) == (RECENT, TURNS, TURNS + 2)
    assert calls.turns[-1].hooks["many", "render_part"].calls == RECENT + 1


async def test_tokens_are_counted_by_plugin(session: Session) -> None:
    session.host.add("wordy", plugin(context=lambda turn: [Block("three words here"), Block("and two")]))
    await send(session)
    assert session.host.hooks.calls.ended[0].tokens["wordy"] == 5


async def test_one_slow_turn_is_chance_and_two_are_not(session: Session) -> None:
    session.host.add("slow", plugin(turn_finished=lambda turn: time.sleep(PAUSE)))
    calls = session.host.hooks.calls
    await send(session)
    assert calls.over(1) == {}
    await send(session)
    assert list(calls.over(1)) == [("slow", "turn_finished")]
    assert calls.over(10_000) == {}


def test_the_trace_is_wanted_or_not(tmp_path: Path) -> None:
    assert Trace.wanted({}) is None
    assert Trace.wanted({"CHATAPP_TRACE": "engines"}) is None
    wanted = Trace.wanted({"CHATAPP_TRACE": "engines, hooks", "CHATAPP_TRACE_FILE": str(tmp_path / "it.log")})
    assert wanted is not None
    assert wanted.path == tmp_path / "it.log"


async def test_each_call_is_one_line(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    def fails(turn: Turn) -> None:
        raise ValueError("two\nlines\x1b[2J")

    session.host.hooks.calls.trace = Trace()
    session.host.add("adds", plugin(context=lambda turn: [Block("password: hunter22 and \x1b[31m" + "long " * 200)]))
    session.host.add("fails", plugin(context=fails))
    await send(session)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("hooks  context ")]
    adds, failed = lines
    assert adds.split()[:3] == ["hooks", "context", "adds"]
    assert "1 Block: [Block(content='password: *** and" in adds
    assert adds.endswith("…")
    assert len(adds) < LONGEST_RESULT + 80
    assert failed.split("ms")[-1].strip() == "ValueError: two lines\N{SYMBOL FOR ESCAPE}[2J"
    assert "\x1b" not in adds


async def test_the_trace_in_a_file_is_private(session: Session, tmp_path: Path) -> None:
    calls = session.host.hooks.calls
    assert calls.trace_beside(tmp_path / "trace.log") is None
    calls.trace = Trace()
    assert calls.trace_beside(tmp_path / "trace.log") == tmp_path / "trace.log"
    assert calls.trace_beside(tmp_path / "other.log") == tmp_path / "trace.log"
    session.host.add("quiet", plugin(turn_finished=lambda: None))
    await send(session)
    assert "turn_finished     quiet" in (tmp_path / "trace.log").read_text()
    assert (tmp_path / "trace.log").stat().st_mode & 0o077 == 0


async def test_a_result_that_cannot_be_shown(session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    class Shy:
        def __repr__(self) -> str:
            raise ValueError("no")

    session.host.hooks.calls.trace = Trace()
    session.host.add("shy", plugin(turn_finished=lambda: Shy()))
    await send(session)
    assert "Shy: (Shy, whose repr raised ValueError)" in capsys.readouterr().err
    assert isinstance(session.host.ui, RecordingUI)
    assert session.host.ui.notices == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("api_key='abc' and more", "api_key='***' and more"),
        ('{"token": "abc", "tokens": 12}', '{"token": "***", "tokens": 12}'),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("sent as Bearer abcdefgh12345", "sent as Bearer ***"),
        ("hf_abcdefghijklmnop is it", "*** is it"),
        ("a max_tokens=5 request", "a max_tokens=5 request"),
    ],
)
def test_secrets_are_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


def test_the_environments_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    from chatapp import tracing

    monkeypatch.setenv("SOME_API_KEY", "correct horse")
    tracing._own_secrets.cache_clear()
    try:
        assert masked("It is correct horse.") == "It is ***."
    finally:
        tracing._own_secrets.cache_clear()


def test_a_stream_that_gives_back_more_than_it_took() -> None:
    calls = Calls({})
    watch = calls.begin("transform_stream", "ahead")
    watch.held = watch.seconds = -1.0
    watch.result = Finished()
    watch.end(streamed=True)
    assert calls.recent[0][:5] == ("transform_stream", "ahead", 0.0, 0.0, "Finished")
