"""Which actions a model may call, with what arguments, and what the user is asked. Rounds are in test_tooling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from chatapp.actions import Action, action
from chatapp.consent import Ask, Decision, Permissions
from chatapp.conversation import Conversation
from chatapp.messages import ToolCall, ToolResult
from chatapp.session import Session
from chatapp.testing import RecordingUI, script
from chatapp.tooling import call_tool, tool_of
from chatapp.ui import answers_to
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
    result, *_ = await call_tool(session, ToolCall("7", name, arguments))
    assert (result.call_id, result.name) == ("7", name)
    return result


def asked(session: Session) -> RecordingUI:
    """The person in front."""
    assert isinstance(session.ui, RecordingUI)
    return session.ui


def test_a_tool_as_the_model_is_offered_it() -> None:
    tool = tool_of(go)
    assert (tool.name, tool.description) == ("go_far", "Go somewhere.")
    assert set(tool.parameters) == {"type", "properties", "required", "additionalProperties"}
    assert all("title" not in each and each.get("default", True) for each in tool.parameters["properties"].values())


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


ASK = Ask("Run this?", "rm -r build", "command", exact="rm -r build")
RISKY = Ask("Run this?", "rm -r build", "command", ("rm -r",), exact="rm -r build")


def guarded(ask: Ask) -> Action:
    """A tool that asks so, unless it is to look only."""

    async def consent(session: Session, values: Mapping[str, Any]) -> Ask | None:
        return None if values["text"] == "look" else ask

    @action("guarded", tool=True, consent=consent)
    async def run(session: Session, text: str) -> str:
        """Do something."""
        return f"done: {text}"

    return run


async def test_a_tool_says_itself_what_to_ask(session: Session) -> None:
    session.host.add("acts", plugin(actions=lambda: [guarded(ASK)]))
    assert (await call(session, "guarded", text="look")).text == "done: look"
    assert asked(session).asked == []
    asked(session).answers = [Decision("no", "not now")]
    result = await call(session, "guarded", text="rm")
    assert (result.failed, result.text) == (True, "The user did not allow this: not now")
    assert asked(session).asked == [ASK]


async def test_a_permission_lasts_as_long_as_it_was_given(session: Session) -> None:
    session.host.add("acts", plugin(actions=lambda: [guarded(ASK)]))
    asked(session).answers = [True, "conversation"]
    for _ in range(4):
        assert not (await call(session, "guarded", text="rm")).failed
    assert len(asked(session).asked) == 2, "once is once; for the conversation is for all of it"
    session.conversation = Conversation()
    assert (await call(session, "guarded", text="rm")).failed, "another conversation asks again"


async def test_what_is_allowed_exactly_is_allowed_in_every_conversation_and_nothing_else(session: Session) -> None:
    session.host.add("acts", plugin(actions=lambda: [guarded(RISKY)]))
    asked(session).answers = ["always"]
    await call(session, "guarded", text="rm")
    session.conversation = Conversation()
    assert not (await call(session, "guarded", text="rm")).failed
    permissions = Permissions(session.host.paths.data / "permissions.json")
    assert permissions.standing("x", "guarded", replace(RISKY, exact="rm -r other")) is None
    assert permissions.standing("x", "other", RISKY) is None
    assert permissions.withdraw() == 1
    assert (await call(session, "guarded", text="rm")).failed


async def test_no_permission_for_a_conversation_covers_what_can_do_harm(session: Session) -> None:
    session.host.add("acts", plugin(actions=lambda: [guarded(RISKY)]))
    asked(session).answers = ["conversation"]
    await call(session, "guarded", text="rm")
    assert (await call(session, "guarded", text="rm")).failed
    assert list(answers_to(RISKY).values()) == ["once", "always", "no", "no"]
    assert "Always for exactly this" not in answers_to(Ask("?"))


async def test_a_permission_for_a_conversation_covers_what_it_says_and_no_more(session: Session) -> None:
    permissions = Permissions(session.host.paths.data / "permissions.json")
    here, there = Ask("Write a?", scope="files directly in /here"), Ask("Write b?", scope="files directly in /there")
    assert answers_to(here)["Always in this conversation: files directly in /here"] == "conversation"
    assert answers_to(ASK)["Always in this conversation: this tool"] == "conversation"
    permissions.keep("x", "guarded", here, Decision("conversation"))
    assert permissions.standing("x", "guarded", replace(here, question="Write c?")) == "conversation"
    assert permissions.standing("x", "guarded", there) is None
    assert permissions.standing("x", "guarded", ASK) is None
    assert permissions.all()[0]["lasts"] == "a conversation, files directly in /here"


async def test_a_damaged_file_of_permissions_allows_nothing(session: Session) -> None:
    file = session.host.paths.data / "permissions.json"
    for text in ("{", "[]", '{"exact": null}', '{"conversations": {}}'):
        file.write_text(text)
        assert Permissions(file).standing(session.conversation.id, "guarded", ASK) is None


async def test_who_allowed_what_is_kept_with_the_result(session: Session) -> None:
    session.host.add("acts", plugin(actions=lambda: [guarded(ASK)]))
    asked(session).answers = ["conversation"]
    script(session).says([ToolCall("1", "guarded", {"text": "a"}), ToolCall("2", "guarded", {"text": "b"})], "Done.")
    async for _ in session.send("Do it."):
        pass
    kept = [message.meta["consent"] for message in session.conversation.path() if message.role == "tool"]
    assert [(each["by"], each["permission"], each["question"]) for each in kept] == [
        ("user", "conversation", "Run this?"),
        ("earlier", "conversation", "Run this?"),
    ]
    assert all(datetime.fromisoformat(each["when"]).tzinfo for each in kept)
