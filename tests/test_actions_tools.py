"""Which actions a model may call, with what arguments, and what the user is asked. Rounds are in test_tooling."""

from __future__ import annotations

from typing import Any

import pytest

from chatapp.messages import ToolCall, ToolResult
from chatapp.session import Session
from chatapp.testing import RecordingUI
from chatapp.tooling import call_tool, tool_of
from tests.support_plugins import told
from tests.test_actions import ACTIONS, go, greet
from tests.test_hooks import plugin


@pytest.fixture
def acting(session: Session) -> Session:
    """A session with the actions of test_actions."""
    session.host.add("acts", plugin(actions=lambda: ACTIONS))
    return session


async def call(session: Session, name: str, **arguments: Any) -> ToolResult:
    """What the model is told."""
    result, _ = await call_tool(session, ToolCall("7", name, arguments))
    assert (result.call_id, result.name) == ("7", name)
    return result


def asked(session: Session) -> RecordingUI:
    """The person in front."""
    assert isinstance(session.ui, RecordingUI)
    return session.ui


def test_a_tool_as_the_model_is_offered_it() -> None:
    tool = tool_of(go)
    assert (tool.name, tool.description) == ("go_far", "Go somewhere.\n\nAnd tell what was seen.")
    assert set(tool.parameters) == {"type", "properties", "required", "additionalProperties"}


@pytest.mark.parametrize("name", ["note", "add_all", "odd", "nothing", "go far"])
async def test_only_tools_can_be_called(acting: Session, name: str) -> None:
    result = await call(acting, name, place="here", text="this")
    assert (result.failed, result.text) == (True, f"Failed: There is no tool {name!r}.")
    assert asked(acting).questions == []


async def test_consent_is_asked_and_given(acting: Session) -> None:
    asked(acting).answers = [True]
    result = await call(acting, "go_far", town="Oslo", days=3, friends=["Ann"])
    assert (result.failed, result.text) == (False, "'Oslo' 3 'train' None None ('Ann',) False")
    assert asked(acting).questions == ["Let the model run 'go far'?"]


async def test_consent_is_refused(acting: Session) -> None:
    result = await call(acting, "go_far", town="Oslo", days=3)
    assert (result.failed, result.text) == (True, "The user did not allow this.")


async def test_what_is_free_is_not_asked(acting: Session) -> None:
    assert (await call(acting, "greet", text="Ann")).text == "Hello Ann."
    assert (await call(acting, greet.tool_name)).text == "Hello everyone."
    assert asked(acting).questions == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"town": "Oslo"}, "Failed: The argument 'days' does not fit: Field required."),
        ({"town": "Oslo", "days": "many"}, "Failed: The argument 'days' does not fit: Input should be a valid integer"),
        ({"town": "Oslo", "days": 1, "pay": 5}, "Failed: The argument 'pay' does not fit: Extra inputs are not"),
        ({"town": "Oslo", "days": 1, "how": "foot"}, "Failed: The argument 'how' does not fit: Input should be 'car'"),
    ],
)
async def test_nobody_is_asked_about_arguments_that_do_not_fit(
    acting: Session, arguments: dict[str, Any], sentence: str
) -> None:
    result = await call(acting, "go_far", **arguments)
    assert result.failed
    assert result.text.startswith(sentence)
    assert asked(acting).questions == []


async def test_a_tool_that_raises_is_named(acting: Session) -> None:
    result = await call(acting, "fail")
    assert result.failed
    assert "ZeroDivisionError: division by zero" in result.text
    assert "The plugin 'acts' failed in the tool 'fail': ZeroDivisionError: division by zero" in told(acting.host)
    assert (await call(acting, "fail", ours=True)).text == "Failed: Not today."
    assert "Not today" not in told(acting.host)
