"""What a model may ask for at once, and what waits until it has seen a result."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

import chatapp_tools
from chatapp import Action, Session, TextDelta, ToolCall, ToolResult, action, hookimpl
from chatapp.testing import RecordingUI, make_host, script
from chatapp.tooling import REPEATED
from tests.plugins.real import collect


@action("look", tool=True, consent="free")
async def look(session: Session, place: str) -> str:
    """Look at a place."""
    return f"{place} is quiet."


@action("shout", tool=True)
async def shout(session: Session, text: str) -> str:
    """Say something loudly."""
    return text.upper()


class Voices:
    """A plugin with one tool that looks and one that asks first."""

    @hookimpl
    def actions(self) -> Iterable[Action]:
        """Both."""
        return [look, shout]


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    """A session whose user allows everything."""
    host = make_host(tmp_path, RecordingUI(answers=["once"] * 9))
    host.add("tools", chatapp_tools)
    host.add("voices", Voices())
    await host.startup()
    yield Session(host)
    await host.shutdown()


LOOKS = ToolCall("1", "look", {"place": "here"})
SHOUTS = ToolCall("2", "shout", {"text": "hi"})


async def results(session: Session, *answers: object) -> list[str]:
    """What the tools told the model, one after another."""
    script(session).says(*answers, "Done.")  # type: ignore[arg-type]
    events = await collect(session.send("Go."))
    return [event.text for event in events if isinstance(event, ToolResult)]


async def test_what_asks_first_waits_for_the_result_of_what_looked(session: Session) -> None:
    told = await results(session, [TextDelta("I look."), LOOKS, SHOUTS, TextDelta("never said")], [SHOUTS])
    assert told == ["here is quiet.", "HI"]
    first, *_ = (message for message in session.conversation.path() if message.role == "assistant")
    assert first.parts[-1] == LOOKS
    assert script(session).stopped == 1, "the model goes on no longer"
    assert script(session).requests[1].messages[-1].role == "tool"
    assert session.turn is not None
    assert session.turn.text == "I look.\n\nDone."


@pytest.mark.parametrize(
    "calls",
    [
        [LOOKS, ToolCall("3", "look", {"place": "there"})],
        [SHOUTS, ToolCall("3", "shout", {"text": "ho"})],
        [SHOUTS, LOOKS],
    ],
    ids=["both look", "both ask", "the one that asks is first"],
)
async def test_other_calls_come_together(session: Session, calls: list[ToolCall]) -> None:
    assert len(await results(session, calls)) == 2
    assert script(session).stopped == 0
    assert len(script(session).requests) == 2


async def test_a_call_that_cannot_run_waits_or_not_as_its_tool_does(session: Session) -> None:
    wrong = ToolCall("3", "shout", {"words": "hi"})
    unknown = ToolCall("4", "sing", {})
    assert len(await results(session, [LOOKS, unknown])) == 2
    assert len(await results(session, [LOOKS, wrong])) == 1


async def test_a_call_that_was_made_ends_the_answer(session: Session) -> None:
    again, other = ToolCall("3", "look", {"place": "here"}), ToolCall("4", "look", {"place": "there"})
    told = await results(session, [LOOKS], [again, other])
    assert told == ["here is quiet.", REPEATED]
    assert script(session).stopped == 1
