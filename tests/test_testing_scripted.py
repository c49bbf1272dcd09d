"""The scripted engine: what it is told comes in order, whatever the session asks of it."""

from __future__ import annotations

import asyncio

import pytest

from chatapp.errors import EngineError, WorkerDied
from chatapp.events import Event, Finished, Notice, ReasoningDelta, TextDelta
from chatapp.messages import ToolCall, ToolResult
from chatapp.session import Session
from chatapp.testing import ScriptedEngine
from chatapp.turn import completed


async def events_of(session: Session, text: str = "Hi") -> list[Event]:
    """The events of one turn that say something."""
    kinds = (TextDelta, ReasoningDelta, ToolCall, ToolResult, Finished)
    return [event async for event in session.send(text) if isinstance(event, kinds)]


async def test_answers_come_in_order(session: Session, engine: ScriptedEngine) -> None:
    engine.says("One.", "Two.").says("Three.")
    said = [(await completed(session, "Go on")).text for _ in range(4)]
    assert said == ["One.", "Two.", "Three.", "OK."]
    assert len(engine.requests) == 4
    assert engine.sent == [(message.role, message.text) for message in session.conversation.path()][:-1]


async def test_thoughts_come_before_the_answer_they_belong_to(session: Session, engine: ScriptedEngine) -> None:
    engine.says("No thought.").thinks("Let me see.").says("Yes.")
    engine.thinks("Nothing to say.")
    assert await events_of(session) == [TextDelta("No"), TextDelta(" thought."), Finished("stop")]
    thoughts = [ReasoningDelta("Let"), ReasoningDelta(" me"), ReasoningDelta(" see.")]
    assert await events_of(session) == [*thoughts, TextDelta("Yes."), Finished("stop")]
    assert (await events_of(session))[2:] == [ReasoningDelta(" say."), TextDelta("OK."), Finished("stop")]


async def test_calls_are_numbered_and_take_any_argument(session: Session, engine: ScriptedEngine) -> None:
    engine.thinks("A tool.").calls("weather", name="x", self="y").calls("weather").says("Rain.")
    calls = [event for event in await events_of(session) if isinstance(event, ToolCall)]
    assert calls == [ToolCall("1", "weather", {"name": "x", "self": "y"}), ToolCall("2", "weather", {})]
    assert [role for role, _ in engine.sent] == ["user", "assistant", "tool", "assistant", "tool"]
    assert engine.tools == []


@pytest.mark.parametrize("after", ["", "Half an"])
async def test_it_fails_after_some_words(session: Session, engine: ScriptedEngine, after: str) -> None:
    engine.fails("The model is gone.", after=after)
    engine.dies(after=after)
    for sentence in ("The model is gone.", "The scripted process ended with code 1; the next use starts a fresh one."):
        *words, end = await events_of(session)
        assert "".join(word.text for word in words if isinstance(word, TextDelta)) == after
        assert end == Finished("failed", sentence)
    assert engine.stopped == 2
    assert (await completed(session, "And now?")).text == "OK."


def test_what_it_raises_is_what_an_engine_raises() -> None:
    engine = ScriptedEngine().fails("Too long.").dies()
    kinds = [type(step) for answer in engine.answers for step in answer]
    assert kinds == [EngineError, WorkerDied]


async def test_it_holds_until_it_is_released(session: Session, engine: ScriptedEngine) -> None:
    gate = engine.holds(after="One two")
    second = engine.holds(after=" three")
    engine.says(" four.")
    heard: list[Event] = []
    turn = asyncio.create_task(_hear(session, heard))
    while len(heard) < 2:  # noqa: ASYNC110 (what is heard sets no event)
        await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert heard == [TextDelta("One"), TextDelta(" two")]
    second.set()
    gate.set()
    await turn
    assert "".join(event.text for event in heard if isinstance(event, TextDelta)) == "One two three four."


async def _hear(session: Session, heard: list[Event]) -> None:
    async for event in session.send("Hi"):
        if isinstance(event, TextDelta):
            heard.append(event)


async def test_an_answer_nobody_hears_out_is_counted(session: Session, engine: ScriptedEngine) -> None:
    gate = engine.holds(after="One")
    engine.says(" two.")
    stream = session.send("Hi")
    async for event in stream:
        if isinstance(event, TextDelta):
            break
    await stream.aclose()
    assert not gate.is_set()
    assert engine.stopped == 1
    assert session.turn is not None
    assert session.turn.finished == Finished("stopped")


async def test_answers_that_nobody_asked_for(session: Session, engine: ScriptedEngine) -> None:
    engine.assert_used()
    engine.says("One.", "Two.")
    await completed(session, "Hi")
    with pytest.raises(AssertionError, match=r"1 of the answers .* never asked for, first 'Two.'\. Send as many"):
        engine.assert_used()
    await completed(session, "Hi")
    engine.assert_used()
    engine.thinks("For nothing.")
    with pytest.raises(AssertionError, match="1 of the answers"):
        engine.assert_used()


def test_nothing_was_asked_yet() -> None:
    engine = ScriptedEngine()
    with pytest.raises(AssertionError, match="was not asked anything yet: send a message first"):
        _ = engine.sent
    with pytest.raises(AssertionError, match="was not asked anything yet"):
        _ = engine.tools


async def test_steps_of_any_kind(session: Session, engine: ScriptedEngine) -> None:
    engine.says([TextDelta("Cut"), Notice("Careful."), Finished("length")])
    engine.delay = 0.001
    events = [event async for event in session.send("Hi")]
    assert events == [TextDelta("Cut"), Notice("Careful."), Finished("length")]
