"""Which tools the model is offered: on and off, by conversation and role, by name and plugin, and what fits."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

import chatapp_tools
from chatapp import Action, Session, ToolCall, UsageError, action, hookimpl, tool_of
from chatapp.testing import RecordingUI, make_host, script, sent_texts
from chatapp_tools.bundled import TOOLS
from chatapp_tools.wording import INSTRUCTIONS
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
    """A plugin with two tools."""

    @hookimpl
    def actions(self) -> Iterable[Action]:
        """Both."""
        return [look, shout]


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    """A session with the tools plugin and one that brings two tools."""
    host = make_host(tmp_path, RecordingUI())
    host.add("tools", chatapp_tools)
    host.add("voices", Voices())
    await host.startup()
    yield Session(host)
    await host.shutdown()


async def ran(session: Session, line: str) -> str:
    """What a command says."""
    return "".join(getattr(event, "text", "") for event in await collect(session.run(line)))


async def offered(session: Session) -> list[str]:
    """The names of the tools in the next request."""
    await collect(session.send("Hello"))
    return [tool.name for tool in script(session).requests[-1].tools]


async def test_tools_are_offered_when_the_agent_is_on_and_only_then(session: Session) -> None:
    assert await offered(session) == []
    assert "may use" in await ran(session, "/agent on")
    assert session.status["tools"] == "on"
    assert {"look", "shout"} <= set(await offered(session))
    await ran(session, "/agent off")
    assert await offered(session) == []
    assert "tools" not in session.status


async def test_tools_are_switched_by_name_and_by_plugin(session: Session) -> None:
    await ran(session, "/tools look,shout")
    assert await offered(session) == ["look", "shout"]
    await ran(session, "/tools off shout")
    assert await offered(session) == ["look"]
    await ran(session, "/tools off voices")
    assert await offered(session) == []
    await ran(session, "/tools on voices")
    assert await offered(session) == ["look", "shout"]
    await ran(session, "/tools on all")
    assert len(await offered(session)) > 2


async def test_a_role_can_go_without_a_tool_in_every_conversation(session: Session) -> None:
    await ran(session, "/tools look shout")
    with pytest.raises(UsageError, match="No role answers here"):
        await ran(session, "/tools off shout --role")
    session.values["roles.current"] = {"name": "writer"}
    await ran(session, "/tools off shout --role")
    assert await offered(session) == ["look"]
    session.values["roles.current"] = {"name": "critic"}
    assert await offered(session) == ["look", "shout"]
    session.values["roles.current"] = {"name": "writer"}
    await ran(session, "/tools on shout --role")
    assert await offered(session) == ["look", "shout"]


async def test_the_list_groups_by_plugin_and_says_what_asks(session: Session) -> None:
    await ran(session, "/tools look")
    (data,) = await collect(session.run("/tools list"))
    rows = {row["tool"]: row for row in data.value}  # type: ignore[union-attr]
    assert (rows["look"]["plugin"], rows["look"]["here"], rows["look"]["consent"]) == ("voices", "on", "runs freely")
    assert (rows["shout"]["here"], rows["shout"]["consent"]) == ("", "asks first")


async def test_an_unknown_tool_is_one_sentence(session: Session) -> None:
    with pytest.raises(UsageError, match=r"There is no tool 'lok'. Did you mean look\?"):
        await ran(session, "/tools lok")


async def test_only_what_fits_is_offered_and_the_same_again(session: Session) -> None:
    await ran(session, "/agent on")
    everything = await offered(session)
    script(session).context_length = 120
    some = await offered(session)
    assert 0 < len(some) < len(everything)
    assert await offered(session) == some
    assert any("cannot be compared" in text for _, text in session.ui.notices)  # type: ignore[attr-defined]


async def test_the_last_time_the_model_must_answer(session: Session) -> None:
    session.host.settings.core.max_rounds = 3
    await ran(session, "/tools look")
    script(session).says(*([ToolCall(str(place), "look", {"place": "here"})] for place in range(2)), "Quiet.")
    await collect(session.send("Look around."))
    sent = [request.template.get("tool_choice") for request in script(session).requests]
    assert sent == [None, None, "none"]
    assert all(request.tools for request in script(session).requests)
    assert session.turn is not None
    assert session.turn.text == "Quiet."


async def test_a_model_that_asks_for_what_it_has_must_answer(session: Session) -> None:
    await ran(session, "/tools look")
    same = {"place": "here"}
    script(session).says(*([ToolCall(str(number), "look", same)] for number in range(3)), "Quiet.")
    await collect(session.send("Look around."))
    requests = script(session).requests
    assert [request.template.get("tool_choice") for request in requests] == [None, None, None, "none"]
    assert all(request.tools == requests[0].tools for request in requests)
    told = [text for role, text in sent_texts(requests[-1].messages) if role == "tool"]
    assert told[0] == "here is quiet."
    assert all("its result is above" in text for text in told[1:])


async def test_how_to_use_tools_is_told_where_some_are_offered(session: Session) -> None:
    async def systems() -> list[str]:
        await collect(session.send("Hello"))
        return [text for role, text in sent_texts(script(session).requests[-1].messages) if role == "system"]

    assert await systems() == []
    await ran(session, "/tools look")
    assert await systems() == [INSTRUCTIONS]
    await ran(session, "/tools off look")
    assert await systems() == []


def test_what_the_bundled_tools_say_of_themselves_is_short_and_complete() -> None:
    for tool in map(tool_of, TOOLS):
        assert len(tool.description) <= 130, tool.name
        assert "\n" not in tool.description
        for name, parameter in tool.parameters["properties"].items():
            assert parameter.get("description"), (tool.name, name)
            assert "title" not in parameter


async def test_permissions_are_listed_and_taken_back(session: Session) -> None:
    session.ui.answers = ["conversation"]  # type: ignore[attr-defined]
    script(session).says([ToolCall("1", "shout", {"text": "hi"})], "Done.")
    await collect(session.send("Shout."))
    assert "shout" in await ran(session, "/tools permissions")
    assert "1 permission taken back" in await ran(session, "/tools permissions --withdraw")
    assert "Nothing is allowed" in await ran(session, "/tools permissions")


async def test_the_tools_take_their_room_off_the_prompts(session: Session) -> None:
    await collect(session.send("Hello"))
    assert session.turn is not None
    without = session.turn.budget
    await ran(session, "/agent on")
    await collect(session.send("word " * 100))
    assert without - 1500 < session.turn.budget < without - 100
    # What no longer fits beside the tools is left out, and not only what the engine could not read any more.
    for _ in range(30):
        await collect(session.send("word " * 100))
    assert session.values["first_kept"]
    assert sum(piece.tokens for piece in session.turn.sent) <= session.turn.budget
