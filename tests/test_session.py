"""One turn: its order, what is on disk at each moment, and every way in which it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import replace

import pytest

import chatapp.session
from chatapp import (
    ArchiveError,
    Block,
    Conversation,
    EngineConfig,
    EngineError,
    Event,
    Finished,
    Host,
    Reasoning,
    ReasoningDelta,
    Request,
    Session,
    Source,
    Text,
    TextDelta,
    Turn,
    UsageError,
    hookimpl,
)
from chatapp.testing import script, sent_texts

LONG = "one two three four five six seven eight nine ten"


async def collect(events: AsyncGenerator[Event, None]) -> list[Event]:
    """All events of a stream."""
    return [event async for event in events]


def stored(session: Session) -> list[tuple[str, str]]:
    """(role, text) of the shown messages as the archive has them."""
    path = session.host.archive.load(session.conversation.id).path()
    return [(message.role, message.text) for message in path]


class Spy:
    """A plugin that notes which hook was called when, and what the archive held then."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.on_disk: list[list[tuple[str, str]]] = []
        self.turn: Turn | None = None
        self.stopped = 0

    @hookimpl
    def configure_engine(self, config: EngineConfig, session: Session) -> None:
        """Note it."""
        self.calls.append("configure_engine")

    @hookimpl
    def context(self, turn: Turn) -> Iterable[Block]:
        """Note it, and say something."""
        self.calls.append("context")
        yield Block("Be brief.", title="Brevity", stability="static")

    @hookimpl
    def prepare_request(self, request: Request, turn: Turn) -> Request:
        """Note what is on disk just before the model is asked."""
        self.calls.append("prepare_request")
        self.on_disk.append(stored(turn.session) if turn.session.keep else [])
        return replace(request, template={"seen": True})

    @hookimpl
    async def transform_stream(self, stream: AsyncIterator[Event], turn: Turn) -> AsyncIterator[Event]:
        """Note when the answer begins, and shout."""
        self.calls.append("transform_stream")
        async for event in stream:
            yield TextDelta(event.text.upper()) if isinstance(event, TextDelta) else event

    @hookimpl
    def turn_finished(self, turn: Turn) -> None:
        """Note how it ended."""
        self.turn, self.stopped = turn, script(turn.session).stopped
        turn.session.values["spy"] = "was here"
        self.calls.append(f"turn_finished {turn.finished and turn.finished.reason}")


async def test_a_turn_goes_through_the_hooks_in_order(session: Session) -> None:
    spy = Spy()
    session.host.add("spy", spy)
    engine = script(session)
    engine.says("Hello there.")
    events = await collect(session.send("Hi"))
    assert [type(event).__name__ for event in events] == ["TextDelta", "TextDelta", "Usage", "Finished"]
    assert events[-1] == Finished("stop")
    assert spy.calls == [
        "configure_engine", "context", "prepare_request", "transform_stream", "turn_finished stop",
    ]  # fmt: skip
    assert spy.on_disk == [[("user", "Hi")]], "the message is on disk before the model is asked"
    assert stored(session) == [("user", "Hi"), ("assistant", "HELLO THERE.")]
    (request,) = engine.requests
    assert request.template == {"seen": True}
    assert [(each.role, each.text) for each in request.messages] == [("system", "Be brief."), ("user", "Hi")]
    assert spy.turn is session.turn
    assert spy.turn is not None
    assert spy.turn.text == "HELLO THERE."
    assert [piece.title for piece in spy.turn.sent] == ["Brevity", "User"]
    answer = spy.turn.answers[-1]
    assert answer.meta["model"] == "scripted"
    assert answer.meta["finished"] == "stop"
    assert answer.meta["usage"]["completion_tokens"] == 2
    kept = session.host.archive.load(session.conversation.id)
    assert (kept.title, kept.values["spy"]) == ("Hi", "was here")


async def test_a_growing_answer_is_saved_as_it_grows(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chatapp.session, "SAVE_SECONDS", 0.02)
    script(session).delay = 0.01
    script(session).says(LONG)
    seen = []
    async for event in session.send("Count"):
        if isinstance(event, TextDelta):
            seen.append(stored(session)[-1][1])
    assert any(text and LONG.startswith(text) and text != LONG for text in seen)
    assert seen == sorted(seen, key=len)
    assert stored(session)[-1] == ("assistant", LONG)


async def test_closing_stops_the_engine_and_keeps_what_came(session: Session) -> None:
    spy = Spy()
    session.host.add("spy", spy)
    engine = script(session)
    engine.says(LONG)
    async with aclosing(session.send("Count")) as events:
        async for event in events:
            if isinstance(event, TextDelta) and "THREE" in event.text:
                break
    assert engine.stopped == spy.stopped == 1, "the engine's own stream was closed before the turn was called finished"
    assert stored(session) == [("user", "Count"), ("assistant", "ONE TWO THREE")]
    assert spy.calls[-1] == "turn_finished stopped"
    assert not session.busy
    engine.says("Again.")
    assert (await collect(session.send("More")))[-1] == Finished("stop")


async def test_cancelling_the_reading_task_stops_the_engine_too(session: Session) -> None:
    engine = script(session)
    engine.delay = 0.01
    engine.says(LONG * 10)
    started = asyncio.Event()

    async def read() -> None:
        async for event in session.send("Count"):
            if isinstance(event, TextDelta):
                started.set()

    task = asyncio.create_task(read())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.stopped == 1
    assert stored(session)[-1][1].startswith("one")
    assert session.turn is not None
    assert session.turn.finished == Finished("stopped")
    assert not session.busy


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (EngineError("The engine went away."), "The engine went away."),
        (KeyError("logits"), "The engine failed: KeyError: 'logits' (scripted.py, line"),
    ],
)
async def test_a_failing_engine_keeps_what_came_and_says_why(session: Session, error: Exception, sentence: str) -> None:
    script(session).says([TextDelta("half an"), TextDelta(" answer"), error])
    events = await collect(session.send("Go"))
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.reason == "failed"
    assert last.error.startswith(sentence)
    assert stored(session) == [("user", "Go"), ("assistant", "half an answer")]
    assert list(session.conversation.path())[-1].meta["finished"] == "failed"
    assert (await collect(session.send("Again")))[-1] == Finished("stop")


async def test_an_engine_that_fails_at_once_leaves_no_empty_answer(session: Session) -> None:
    script(session).says([EngineError("No.")], [])
    assert (await collect(session.send("Go")))[-1] == Finished("failed", "No.")
    assert stored(session) == [("user", "Go")]
    assert (await collect(session.regenerate()))[-1] == Finished("stop")


async def test_a_model_without_an_engine_is_the_end_of_the_turn(session: Session) -> None:
    session.host.settings.core.engine = ""
    session.values["model"] = "unknown"
    (last,) = await collect(session.send("Go"))
    assert isinstance(last, Finished)
    assert last.error.startswith("No plugin offers an engine for 'unknown'")
    assert stored(session) == [("user", "Go")]


async def test_one_turn_at_a_time(session: Session) -> None:
    script(session).says(LONG)
    async with aclosing(session.send("Count")) as events:
        await anext(events)
        with pytest.raises(UsageError, match="under way; stop it first"):
            await anext(session.send("And now?"))
        with pytest.raises(UsageError, match="under way; stop it first"):
            await session.open(Conversation())
        assert session.busy
    assert stored(session)[0] == ("user", "Count")
    assert len(session.conversation) == 2
    await session.open(Conversation())
    assert session.turn is None


async def test_editing_and_asking_again_make_branches(session: Session) -> None:
    engine = script(session)
    engine.says("first", "second", "third")
    await collect(session.send("Question", Source("note", "attached")))
    question, answer = session.conversation.path()
    await collect(session.regenerate())
    assert [each.text for each in session.conversation.path()] == ["Question", "second"]
    assert len(session.conversation.siblings(answer.id)) == 2
    await collect(session.edit(question.id, "Better question"))
    better, _ = session.conversation.path()
    assert better.text == "Better question"
    assert better.parts[1:] == question.parts[1:], "what was attached stays attached"
    assert session.conversation.roots == [question.id, better.id]
    assert [message.text for message in engine.requests[-1].messages][-1] == "Better question"
    assert stored(session) == [("user", "Better question"), ("assistant", "third")]
    assert len(session.host.archive.load(session.conversation.id)) == 5
    with pytest.raises(UsageError, match="your own messages"):
        session.edit(answer.id, "no")


async def test_there_must_be_something_to_answer_again(session: Session) -> None:
    with pytest.raises(UsageError, match="no message to answer yet"):
        session.regenerate()


async def test_an_earlier_answer_can_be_given_anew(session: Session) -> None:
    script(session).says("a", "b", "c")
    await collect(session.send("one"))
    first_answer = session.conversation.head
    await collect(session.send("two"))
    await collect(session.regenerate(first_answer))
    assert [each.text for each in session.conversation.path()] == ["one", "c"]
    assert len(session.conversation) == 5


async def test_nothing_is_written_where_nothing_is_kept(host: Host) -> None:
    session = Session(host, keep=False)
    await collect(session.send("A secret"))
    await session.save()
    assert len(session.conversation) == 2
    assert host.archive.list() == []
    with pytest.raises(ArchiveError):
        host.archive.load(session.conversation.id)


async def test_the_engine_has_stopped_before_the_hooks_hear_of_it(host: Host) -> None:
    spy = Spy()
    host.add("spy", spy)
    # Without an archive nothing is awaited between the stop and the hook, during which the stream might still end.
    session = Session(host, keep=False)
    script(session).says(LONG)
    async with aclosing(session.send("Count")) as events:
        await anext(events)
    assert (spy.calls[-1], spy.stopped) == ("turn_finished stopped", 1)


async def test_reasoning_is_kept_and_never_sent(session: Session) -> None:
    engine = script(session)
    engine.says([ReasoningDelta("Hm, "), ReasoningDelta("well."), TextDelta("Yes.")])
    await collect(session.send("Is it?"))
    thought, said = list(session.conversation.path())[-1].parts
    assert isinstance(thought, Reasoning)
    assert (thought.text, said) == ("Hm, well.", Text("Yes."))
    await collect(session.send("Sure?"))
    sent = sent_texts(engine.requests[-1].messages)
    assert sent == [("user", "Is it?"), ("assistant", "Yes."), ("user", "Sure?")]


async def test_an_archive_that_fails_ends_the_turn_and_the_next_one_is_not_locked_out(session: Session) -> None:
    spy = Spy()
    session.host.add("spy", spy)
    async with aclosing(session.send("Go")) as events:
        await anext(events)
        session.host.archive.close()
        with pytest.raises(ArchiveError, match="have been closed"):
            await collect(events)
    assert spy.calls[-1] == "turn_finished failed"
    assert not session.busy
