"""Our client and a server that does all it should: tools, consent, what comes out, prompts, resources."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio

from chatapp import Data, Media, Progress, Session, Text, ToolCall, UsageError, call_tool, tool_of, tools_for
from chatapp.testing import script, sent_texts
from chatapp.turn import Turn
from chatapp_tools.servers.mentions import completions, resources
from chatapp_tools.servers.shelf import refresh, servers
from tests.plugins.mcp_support import GOOD, called, configure, hosting, offered, over_http, person, ran, told

pytestmark = pytest.mark.asyncio(loop_scope="module")
OWN = {**GOOD, "free": ["see*"], "env": {"GIVEN_SECRET": "x"}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_session(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Session]:
    """A session with the good server, started once; only one of its tools is free."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OUR_SECRET", "must not be handed on")
        async with offered(tmp_path_factory.mktemp("mcp"), good=OWN) as session:
            yield session


@pytest.fixture
def agent(module_session: Session) -> Session:
    """That session, with nothing asked or told yet."""
    ui = person(module_session)
    for kept in (ui.answers, ui.notices, ui.questions, ui.asked, ui.progressed, script(module_session).requests):
        kept.clear()
    return module_session


async def test_tools_are_offered_with_their_schemas(agent: Session) -> None:
    offer = tools_for(agent)
    assert {"good_add", "good_fail", "good_mixed", "good_slow", "good_seen", "good_grow"} <= offer.keys()
    tool = tool_of(offer["good_add"])
    assert (tool.name, tool.description) == ("good_add", "Add two numbers.")
    assert tool.parameters["properties"]["a"]["type"] == "integer"
    assert tool.parameters["required"] == ["a", "b"]


async def test_a_tool_runs_once_it_is_allowed(agent: Session) -> None:
    refused = await call_tool(agent, ToolCall("1", "good_add", {"a": 2, "b": 3}))
    assert refused.result.text == "The user did not allow this."
    (ask,) = person(agent).asked
    assert ask.question == "Let the model run 'add' of the MCP server 'good'?"
    assert '"a": 2' in ask.detail
    assert "good.py" in ask.detail, "it says what program that is"
    allowed = await called(agent, "good_add", a=2, b=3)
    assert (allowed.result.text, allowed.result.failed) == ("5", False)
    assert allowed.consent["by"] == "user"


async def test_arguments_that_do_not_fit_are_told_and_nobody_is_asked(agent: Session) -> None:
    result = (await called(agent, "good_add", a="two", b=3)).result
    assert result.text == "Failed: The argument 'a' does not fit: 'two' is not of type 'integer'."
    result = (await called(agent, "good_add", a=2)).result
    assert result.text == "Failed: The arguments do not fit: 'b' is a required property."
    assert person(agent).asked == []


async def test_what_is_free_runs_without_asking_and_sees_no_secrets_of_ours(agent: Session) -> None:
    result = (await call_tool(agent, ToolCall("1", "good_seen", {}))).result
    assert person(agent).asked == []
    assert "GIVEN_SECRET" in result.text
    assert "OUR_SECRET" not in result.text


async def test_everything_a_result_can_hold(agent: Session) -> None:
    result, shown, _ = await called(agent, "good_mixed")
    lines = result.text
    assert lines.startswith("Look:\n")
    assert "note://today:\nBuy milk." in lines
    assert "more is at note://more: More notes" in lines
    assert "10 B of image/png were left out" in lines, "bytes that are no picture are not kept as one"
    assert "its data is damaged" in lines
    (picture,) = (part for part in shown if isinstance(part, Media))
    assert picture.mime == "image/png"
    assert Path(picture.path).read_bytes().startswith(b"\x89PNG")
    assert Path(picture.path).is_relative_to(agent.host.paths.data)


async def test_an_error_of_a_tool_is_told_to_the_model(agent: Session) -> None:
    result = (await called(agent, "good_fail", why="the moon is full")).result
    assert result.failed
    assert "the moon is full" in result.text
    assert told(agent) == "", "a tool that fails is no fault of the plugin"


async def test_progress_comes_through_and_cancelling_reaches_the_server(agent: Session) -> None:
    assert (await called(agent, "good_slow", steps=3)).result.text == "There."
    assert Progress("good: slow: step 3", 3, 3) in person(agent).progressed
    person(agent).progressed.clear()
    call = asyncio.create_task(called(agent, "good_slow", steps=10_000))
    for _ in range(3000):
        if any(each.done > 1 for each in person(agent).progressed):
            break
        await asyncio.sleep(0.01)
    call.cancel()
    await asyncio.wait([call])
    assert call.cancelled()
    for _ in range(500):
        seen = (await call_tool(agent, ToolCall("1", "good_seen", {}))).result.text
        if "slow" in seen:
            break
        await asyncio.sleep(0.01)
    assert "slow" in seen, "the server heard that nobody waits any longer"


async def test_a_tool_that_comes_later_is_offered_at_the_next_message(agent: Session) -> None:
    await called(agent, "good_grow")
    for _ in range(500):
        await refresh(agent)
        if "good_newcomer" in tools_for(agent):
            break
        await asyncio.sleep(0.01)
    assert (await called(agent, "good_newcomer")).result.text == "I am new."


async def test_a_prompt_is_sent_as_the_users_message(agent: Session) -> None:
    script(agent).says("Hello, Ann!")
    events = await ran(agent, '/mcp prompt good:greet name=Ann mood="very tired"')
    assert events
    assert sent_texts(script(agent).requests[-1].messages)[-1] == ("user", "Say hello to Ann, who is very tired.")
    with pytest.raises(UsageError, match=r"The prompt 'greet' needs 'name': give name=… \[mood=…\]"):
        await ran(agent, "/mcp prompt good:greet mood=sad")
    with pytest.raises(UsageError, match="The MCP server 'good' has no prompt 'part'; it has greet, talk"):
        await ran(agent, "/mcp prompt good:part")


async def test_a_prompt_that_is_a_conversation_becomes_one(agent: Session) -> None:
    await ran(agent, "/mcp prompt good:talk")
    messages = sent_texts(script(agent).requests[-1].messages)
    assert messages[-3:] == [("user", "Hi."), ("assistant", "Hello."), ("user", "How are\n\nyou?")]


async def test_a_resource_is_shown_and_laid_beside_the_message_that_mentions_it(agent: Session) -> None:
    (text,) = await ran(agent, "/mcp read good:note://today")
    assert text == Text("note://today:\nBuy milk. </document>")
    await agent.add()
    script(agent).says("Milk.")
    async with aclosing(agent.send("What does @good:note://today. say, and @good:note://none, and a@b?")) as events:
        async for _ in events:
            pass
    assert agent.turn is not None
    (block,) = await resources(agent.turn)
    assert (block.title, block.slot, block.stability) == ("good:note://today.", "user", "turn")
    assert "Buy milk. <\\/document>" in str(block.content), "it cannot close its own fence"
    assert "The MCP server 'good' refused:" in told(agent)
    turn = Turn(agent, agent.turn.message)
    turn.message = type(turn.message)("user", (Text("nothing here"),))
    assert await resources(turn) == []


async def test_resources_and_servers_that_do_not_run_complete_a_mention(agent: Session) -> None:
    assert completions(agent, "") == ["good:note://today"]
    configure(agent.host, good=OWN, later=GOOD, never={**GOOD, "disabled": True})
    try:
        assert completions(agent, "") == ["good:note://today", "later:"]
    finally:
        configure(agent.host, good=OWN)


async def test_the_list_says_what_each_server_offers(agent: Session) -> None:
    (table,) = (each for each in await ran(agent, "/mcp") if isinstance(each, Data))
    (row,) = table.value
    assert (row["server"], row["state"]) == ("good", "on")
    assert "2 prompts, 1 resource" in row["offers"]
    (table,) = (each for each in await ran(agent, "/mcp list good") if isinstance(each, Data))
    found = {(each["kind"], each["name"]) for each in table.value}
    assert {("tool", "good_add"), ("prompt", "good:greet"), ("resource", "good:note://today")} <= found


async def test_off_takes_the_tools_away_and_restart_brings_them_back(agent: Session) -> None:
    with pytest.raises(UsageError, match="There is no MCP server 'god'; did you mean 'good'"):
        await ran(agent, "/mcp off god")
    await ran(agent, "/mcp off good")
    assert not any(name.startswith("good_") for name in tools_for(agent))
    await refresh(agent)
    assert servers(agent.host).connections["good"].state == "off"
    assert (await called(agent, "good_add", a=1, b=1)).result.text == "Failed: There is no tool 'good_add'."
    (*_, last) = await ran(agent, "/mcp restart good")
    assert "The MCP server 'good' runs: " in str(last)
    assert (await called(agent, "good_add", a=1, b=1)).result.text == "2"


async def test_over_http_all_is_the_same_offline_too(tmp_path: Path) -> None:
    with over_http() as url:
        far = {"url": "https://example.org/mcp"}
        async with offered(tmp_path, offline=True, web={"url": url, "headers": {"X-Key": "1"}}, far=far) as session:
            assert told(session) == ""
            assert (await called(session, "web_add", a=2, b=3)).result.text == "5"
            assert (await called(session, "web_slow", steps=2)).result.text == "There."
            assert Progress("web: slow: step 2", 2, 2) in person(session).progressed
            with pytest.raises(UsageError, match="'far' is not used: it needs the network, which --offline forbids"):
                await ran(session, "/mcp list far")


async def test_no_server_costs_nothing(tmp_path: Path) -> None:
    async with hosting(tmp_path) as host:
        session = Session(host)
        await refresh(session)
        assert host.tools == {}
        (*_, table) = await ran(session, "/mcp")
        assert isinstance(table, Data)
        assert "There are no MCP servers" in table.text


async def test_without_the_sdk_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [each for each in sys.modules if each.startswith("chatapp_tools.serv") and each.endswith("ion")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mcp", None)
    async with offered(tmp_path, good=GOOD) as session:
        assert told(session) == "MCP servers need the Python package 'mcp': run `pip install 'chatapp[mcp]'`."
