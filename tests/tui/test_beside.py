"""Commands that run beside the conversation: it goes on, Escape stops them, and what they add is shown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from chatapp import Event, Message, Progress, Session, Text, action, hookimpl, user
from chatapp.host import Host
from chatapp.testing import ScriptedEngine
from tests.tui.support import host_in, running


class Slow:
    """A command that works until it is let go, then leaves a message in the conversation."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.began: list[str] = []
        self.stopped: list[str] = []
        self.fails = False

    @hookimpl
    def actions(self) -> list[object]:
        """`/slow NAME`."""

        @action("slow", beside=True)
        async def slow(session: Session, name: str) -> AsyncIterator[Event | str]:
            """Take long."""
            self.began.append(name)
            conversation = session.conversation
            try:
                yield Progress(f"Working on {name}", 1, 4, "steps")
                await self.go.wait()
            except asyncio.CancelledError:
                self.stopped.append(name)
                raise
            if self.fails:
                raise ZeroDivisionError("four of none")
            made = Message("assistant", (Text(f"Made {name}."),))
            await session.add(user(f"/slow {name}"), made, to=conversation)
            yield f"{name} is done"

        return [slow]


def host_with(tmp_path: Path, engine: ScriptedEngine, plugin: Slow) -> Host:
    """A host with the command."""
    host = host_in(tmp_path, engine)
    host.add("slow", plugin)
    return host


async def test_the_conversation_goes_on_and_gets_what_was_made(tmp_path: Path) -> None:
    engine, plugin = ScriptedEngine(), Slow()
    async with running(tmp_path, host=host_with(tmp_path, engine, plugin), engine=engine, size=(100, 40)) as chat:
        chat.chat.runner.submit("/slow one")
        await chat.shows("Working on one", "Esc stops")
        chat.chat.runner.submit("Hello")
        await chat.until(lambda: ("assistant", "OK.") in chat.said and not chat.chat.runner.busy)
        await chat.shows("Working on one")
        plugin.go.set()
        await chat.until(lambda: chat.settled)
        assert chat.said == [("user", "Hello"), ("assistant", "OK."), ("user", "/slow one"), ("assistant", "Made one.")]
        await chat.shows("one is done")
        await chat.hides("Working on one")
        assert [each.text for each in chat.chat.session.conversation.path()][-1] == "Made one."
        stored = chat.app.host.archive.load(chat.chat.session.conversation.id)
        assert [each.text for each in stored.path()] == [text for _, text in chat.said]


async def test_it_does_not_come_between_a_question_and_its_answer(tmp_path: Path) -> None:
    engine, plugin = ScriptedEngine(delay=0.02), Slow()
    engine.says("word " * 40)
    async with running(tmp_path, host=host_with(tmp_path, engine, plugin), engine=engine, size=(100, 40)) as chat:
        chat.chat.runner.submit("/slow one")
        await chat.until(lambda: plugin.began)
        chat.chat.runner.submit("Talk")
        await chat.until(lambda: chat.chat.session.busy)
        plugin.go.set()
        await chat.until(lambda: chat.settled)
        assert [text.strip()[:9] for _, text in chat.said] == ["Talk", "word word", "/slow one", "Made one."]


async def test_escape_stops_the_oldest_and_then_the_next(tmp_path: Path) -> None:
    engine, plugin = ScriptedEngine(), Slow()
    async with running(tmp_path, host=host_with(tmp_path, engine, plugin), engine=engine) as chat:
        chat.chat.runner.submit("/slow one")
        chat.chat.runner.submit("/slow two")
        await chat.until(lambda: plugin.began == ["one", "two"])
        await chat.tap("escape")
        await chat.until(lambda: plugin.stopped == ["one"])
        await chat.tap("escape")
        await chat.until(lambda: plugin.stopped == ["one", "two"])
        await chat.until(lambda: chat.settled)
        assert chat.said == []


async def test_what_waits_behind_an_answer_starts_after_it(tmp_path: Path) -> None:
    engine, plugin = ScriptedEngine(delay=0.02), Slow()
    engine.says("word " * 40)
    async with running(tmp_path, host=host_with(tmp_path, engine, plugin), engine=engine) as chat:
        chat.chat.runner.submit("Talk")
        await chat.until(lambda: chat.chat.session.busy)
        chat.chat.runner.submit("/slow one")
        chat.chat.runner.submit("Hello")
        await chat.until(lambda: len(chat.said) == 4 and not chat.chat.runner.busy)
        assert plugin.began == ["one"]
        plugin.go.set()
        await chat.until(lambda: chat.settled)


async def test_a_failure_is_named_and_the_chat_goes_on(tmp_path: Path) -> None:
    engine, plugin = ScriptedEngine(), Slow()
    plugin.fails = True
    plugin.go.set()
    async with running(tmp_path, host=host_with(tmp_path, engine, plugin), engine=engine) as chat:
        await chat.send("/slow one")
        await chat.shows("/slow of the plugin 'slow' failed: ZeroDivisionError: four of none")
        await chat.send("Hello")
        assert chat.said[-1] == ("assistant", "OK.")


async def test_another_conversation_was_opened_meanwhile(tmp_path: Path) -> None:
    engine, plugin = ScriptedEngine(), Slow()
    async with running(tmp_path, host=host_with(tmp_path, engine, plugin), engine=engine) as chat:
        await chat.send("Hello")
        first = chat.chat.session.conversation
        chat.chat.runner.submit("/slow one")
        await chat.until(lambda: plugin.began)
        await chat.press("ctrl+n")
        await chat.until(lambda: chat.chat.session.conversation is not first)
        plugin.go.set()
        await chat.until(lambda: chat.settled)
        assert chat.said == []
        stored = chat.app.host.archive.load(first.id)
        assert [each.text for each in stored.path()] == ["Hello", "OK.", "/slow one", "Made one."]


async def test_to_answer_again_gives_the_command_again(tmp_path: Path) -> None:
    engine, plugin = ScriptedEngine(), Slow()
    plugin.go.set()
    async with running(tmp_path, host=host_with(tmp_path, engine, plugin), engine=engine) as chat:
        await chat.send("/slow one")
        chat.chat.runner.again()
        await chat.until(lambda: plugin.began == ["one", "one"])
        await chat.until(lambda: chat.settled)
        assert engine.requests == []
