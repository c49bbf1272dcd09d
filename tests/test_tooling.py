"""Tools of an agent: rounds of calls and answers, consent, wrong calls, tools that fail, and when it must end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import Annotated, Any

import pytest

from chatapp import (
    Action,
    Data,
    Event,
    Finished,
    Notice,
    Progress,
    Session,
    TextDelta,
    ToolCall,
    ToolResult,
    UsageError,
    action,
    hookimpl,
)
from chatapp.testing import RecordingUI, script, sent_texts
from chatapp.tooling import LONGEST_RESULT, REPEATED, tool_of


@action("tide at", tool=True, consent="free")
async def tide(session: Session, place: Annotated[str, "A harbour"], *, days: int = 1) -> AsyncGenerator[Any, None]:
    """Tell the tide."""
    yield Progress("Looking", 1, 2, "tables")
    yield f"High water at {place} in {days} days."
    yield Data("tide.table", {"metres": 4.2}, "4.2 m")


@action("sink", tool=True)
async def sink(session: Session, ship: str) -> str:
    """Sink a ship; the user is asked first."""
    session.values["sunk"] = ship
    return f"{ship} is sunk."


@action("fail", tool=True, consent="free")
async def fail(session: Session, how: str) -> str:
    """Fail in one of two ways."""
    raise UsageError("Say it otherwise.") if how == "politely" else ZeroDivisionError("by zero")


@action("tell", tool=True, consent="free")
async def tell(session: Session) -> str:
    """Tell more than a model can read."""
    return "word " * 10_000


@action("nothing", tool=True, consent="free")
async def nothing(session: Session) -> None:
    """Do something that shows nothing."""


@action("private", consent="free")
async def private(session: Session) -> str:
    """No tool."""
    return "secret"


class Tools:
    """The plugin that brings them."""

    @hookimpl
    def actions(self) -> Iterable[Action]:
        """All of them."""
        return [tide, sink, fail, tell, nothing, private]


@pytest.fixture
def agent(session: Session) -> Session:
    """A session whose model may use the tools."""
    session.host.add("tools", Tools())
    return session


def call(name: str, number: int = 1, **arguments: Any) -> ToolCall:
    """A call as the model makes it."""
    return ToolCall(f"call{number}", name, arguments)


async def collect(events: AsyncGenerator[Event, None]) -> list[Event]:
    """All events of a stream."""
    return [event async for event in events]


async def result_of(session: Session, wanted: ToolCall) -> ToolResult:
    """What the model is told when it makes this call."""
    script(session).says([wanted], "Thank you.")
    events = await collect(session.send("Do it."))
    assert events[-1] == Finished("stop"), "the model always gets to answer"
    (result,) = (event for event in events if isinstance(event, ToolResult))
    assert result.call_id == wanted.id
    assert ("tool", result.text) in sent_texts(script(session).requests[-1].messages)
    return result


async def test_a_call_is_run_and_the_model_answers_with_what_came_out(agent: Session) -> None:
    script(agent).says([TextDelta("I look."), call("tide_at", place="Brest", days=2)], "At noon.")
    events = await collect(agent.send("When is high water?"))
    kinds = [type(event).__name__ for event in events]
    assert kinds == [
        "TextDelta", "ToolCall", "Usage", "ToolResult", "Data", "TextDelta", "TextDelta", "Usage", "Finished",
    ]  # fmt: skip
    question, first, result, last = agent.conversation.path()
    assert [each.role for each in (question, first, result, last)] == ["user", "assistant", "tool", "assistant"]
    assert result.parts[0] == ToolResult("call1", "tide_at", "High water at Brest in 2 days.\n4.2 m")
    assert result.parts[1] == Data("tide.table", {"metres": 4.2}, "4.2 m")
    assert sent_texts(script(agent).requests[1].messages)[-1] == ("tool", "High water at Brest in 2 days.\n4.2 m")
    assert isinstance(agent.ui, RecordingUI)
    assert [each.label for each in agent.ui.progressed] == ["Looking"]
    assert agent.turn is not None
    assert agent.turn.round == 2
    assert agent.turn.text == "I look.\n\nAt noon."
    stored = agent.host.archive.load(agent.conversation.id)
    assert list(stored.path()) == [question, first, result, last]


async def test_several_calls_of_one_answer_are_run_in_order(agent: Session) -> None:
    script(agent).says([call("tide_at", 1, place="A"), call("tide_at", 2, place="B")], "Both.")
    events = await collect(agent.send("Both?"))
    results = [event for event in events if isinstance(event, ToolResult)]
    assert [(each.call_id, each.text.split()[3]) for each in results] == [("call1", "A"), ("call2", "B")]


async def test_the_user_is_asked_first_and_may_refuse(agent: Session) -> None:
    ui = agent.ui
    assert isinstance(ui, RecordingUI)
    refused = await result_of(agent, call("sink", ship="Titanic"))
    assert refused == ToolResult("call1", "sink", "The user did not allow this.", failed=True)
    assert ui.questions == ["Let the model run 'sink'?"]
    assert "sunk" not in agent.values
    ui.answers = [True]
    assert (await result_of(agent, call("sink", ship="Titanic"))).text == "Titanic is sunk."
    assert agent.values["sunk"] == "Titanic"


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (call("nowhere"), "Failed: There is no tool 'nowhere'."),
        (call("private"), "Failed: There is no tool 'private'."),
        (call("tide_at"), "Failed: The argument 'place' does not fit: Field required."),
        (call("tide_at", place="A", days="many"), "Failed: The argument 'days' does not fit: Input should be"),
        (call("tide_at", place="A", depth=3), "Failed: The argument 'depth' does not fit: Extra inputs are not"),
        (call("fail", how="politely"), "Failed: Say it otherwise."),
    ],
)
async def test_a_wrong_call_is_told_to_the_model(agent: Session, wanted: ToolCall, told: str) -> None:
    result = await result_of(agent, wanted)
    assert result.text.startswith(told)
    assert result.failed
    assert isinstance(agent.ui, RecordingUI)
    assert agent.ui.notices == []


async def test_a_tool_that_breaks_is_told_to_the_model_and_the_user(agent: Session) -> None:
    result = await result_of(agent, call("fail", how="badly"))
    assert result.failed
    assert "ZeroDivisionError: by zero" in result.text


async def test_a_long_result_is_cut_and_an_empty_one_said(agent: Session) -> None:
    long = await result_of(agent, call("tell"))
    assert len(long.text) < LONGEST_RESULT + 100
    assert long.text.endswith("(cut after 8,000 of 50,000 characters)")
    assert (await result_of(agent, call("nothing"))).text == "Done."


async def test_a_model_that_never_stops_calling_is_stopped(agent: Session) -> None:
    agent.host.settings.core.max_rounds = 3
    engine = script(agent)
    engine.says(*[[call("nothing", number)] for number in range(10)])
    events = await collect(agent.send("Go."))
    assert len(engine.requests) == 3
    assert events[-2] == Notice("The model used tools 3 times and was stopped.", "warning")
    assert [event for event in events if isinstance(event, Finished)] == [events[-1]], "it ends once, and says so"
    assert not agent.busy
    assert [each.role for each in agent.conversation.path()] == ["user", *["assistant", "tool"] * 3]


async def test_a_call_that_was_made_is_not_run_again_unless_the_user_allowed_something_since(agent: Session) -> None:
    assert isinstance(agent.ui, RecordingUI)
    agent.ui.answers = ["once"]
    script(agent).says(
        [call("tide_at", 1, place="Brest")],
        [call("tide_at", 2, place="Brest"), call("tide_at", 3, place="Brest", days=2)],
        [call("sink", 4, ship="Titanic"), call("nothing", 5), call("sink", 6, ship="Titanic")],
        [call("tide_at", 7, place="Brest"), call("nothing", 8), call("sink", 9, ship="Titanic")],
        "Sunk.",
    )
    results = [event for event in await collect(agent.send("Go.")) if isinstance(event, ToolResult)]
    assert [each.text == REPEATED for each in results] == [False, True, False, False, False, True, False, True, True]
    assert len(agent.ui.asked) == 1, "nobody is asked again for what was done"
    script(agent).says([call("tide_at", 7, place="Brest")], "High.")
    (result,) = [event for event in await collect(agent.send("And now?")) if isinstance(event, ToolResult)]
    assert result.text.startswith("High water"), "another message of the user may want it anew"


async def test_calls_of_an_answer_that_failed_are_not_run(agent: Session) -> None:
    script(agent).says([call("sink", ship="Titanic"), UsageError("Broken off.")])
    events = await collect(agent.send("Go."))
    assert events[-1] == Finished("failed", "Broken off.")
    assert "sunk" not in agent.values
    assert isinstance(agent.ui, RecordingUI)
    assert agent.ui.questions == []


def test_an_action_is_offered_with_its_schema() -> None:
    tool = tool_of(tide)
    assert (tool.name, tool.description) == ("tide_at", "Tell the tide.")
    assert tool.parameters["type"] == "object"
    assert tool.parameters["required"] == ["place"]
    assert tool.parameters["additionalProperties"] is False
    assert tool.parameters["properties"]["place"]["description"] == "A harbour"
    assert tool.parameters["properties"]["days"]["type"] == "integer"
