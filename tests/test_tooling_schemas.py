"""Tools that come and go while the application runs, and whose arguments are a JSON schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from chatapp.actions import Action, action
from chatapp.messages import ToolCall, ToolResult
from chatapp.session import Session
from chatapp.testing import RecordingUI
from chatapp.tooling import call_tool, tool_of, tools_for
from tests.test_hooks import plugin

SCHEMA = {
    "type": "object",
    "properties": {"far away": {"type": "integer", "minimum": 1}, "who": {"enum": ["Ann", "Bob"]}},
    "required": ["far away"],
}


async def travel(session: Session, values: Mapping[str, Any]) -> str:
    """Say what was given."""
    return f"went {dict(values)}"


def tool(name: str = "far travel", schema: Mapping[str, Any] = SCHEMA, consent: Any = "free") -> Action:
    """A tool for the model alone."""
    return Action(name, travel, "Travel.", (), tool=True, consent=consent, schema=schema, owner="trips")


async def call(session: Session, arguments: Mapping[str, Any]) -> ToolResult:
    """What the model is told."""
    return (await call_tool(session, ToolCall("1", "far_travel", arguments))).result


async def test_it_is_offered_with_its_schema_and_gone_when_taken_out(session: Session) -> None:
    session.host.tools["far_travel"] = tool()
    assert tool_of(tools_for(session)["far_travel"]).parameters == SCHEMA
    assert (await call(session, {"far away": 3})).text == "went {'far away': 3}"
    assert "far travel" not in session.host.actions, "it is no command"
    del session.host.tools["far_travel"]
    assert (await call(session, {})).text == "Failed: There is no tool 'far_travel'."


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "The arguments do not fit: 'far away' is a required property."),
        ({"far away": 0}, "The argument 'far away' does not fit: 0 is less than the minimum of 1."),
        ({"far away": "x" * 2000}, "The argument 'far away' does not fit: 'xxx"),
        ({"far away": 1, "who": "Eve"}, "The argument 'who' does not fit: 'Eve' is not one of ['Ann', 'Bob']."),
    ],
)
async def test_arguments_that_do_not_fit_are_one_sentence(
    session: Session, arguments: dict[str, Any], sentence: str
) -> None:
    session.host.tools["far_travel"] = tool(consent="ask")
    result = await call(session, arguments)
    assert result.failed
    assert result.text.startswith(f"Failed: {sentence}")
    assert len(result.text) < 500
    assert isinstance(session.ui, RecordingUI)
    assert session.ui.asked == [], "nobody is asked about them"


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/schema"}}},
        {"type": "object", "properties": {"a": {"type": "no such"}}},
    ],
)
async def test_a_schema_that_cannot_be_used_is_said_and_nothing_is_fetched(
    session: Session, schema: Mapping[str, Any]
) -> None:
    session.host.tools["far_travel"] = tool(schema=schema)
    assert (await call(session, {"a": 1})).text.startswith("Failed: The tool's schema cannot be used: ")


async def test_a_tool_that_was_declared_is_never_hidden(session: Session) -> None:
    @action("far travel", tool=True, consent="free")
    async def declared(session: Session) -> str:
        """Ours."""
        return "ours"

    session.host.add("trips", plugin(actions=lambda: [declared]))
    session.host.tools["far_travel"] = tool()
    assert (await call(session, {})).text == "ours"
