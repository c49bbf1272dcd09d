"""What servers ask of us while they work: forms for the user, the folders, the model, a signature."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chatapp import Session, ToolCall, UsageError, call_tool
from chatapp_tools.servers.asked import Clocks
from chatapp_tools.servers.forms import filled
from chatapp_tools.servers.shelf import servers
from tests.plugins.mcp_support import FOLDER, answering, offered, person, ran, told

pytestmark = pytest.mark.asyncio(loop_scope="module")
PROGRAM = str(FOLDER / "asking.py")
FORM = ["yes, answer", "A", "Ada", "old", "36", "large", "no", ""]
"""Answers to the form of the server: the whole of it, then field after field, two of them wrong at first."""


def asking(kind: str) -> dict[str, Any]:
    """The server that asks, whose tools run freely."""
    return {"command": sys.executable, "args": [PROGRAM, kind], "free": ["*"]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def both(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Session]:
    """A session with a server of each kind."""
    folder = tmp_path_factory.mktemp("asking")
    made = {name: {**asking(name), "roots": True} for name in ("old", "new")}
    async with offered(folder, tools={"folders": [str(folder / "one"), str(folder / "two words")]}, **made) as session:
        yield session


@pytest.fixture
def agent(both: Session) -> Session:
    """That session, with nothing asked or told yet."""
    ui = person(both)
    for kept in (ui.answers, ui.notices, ui.questions):
        kept.clear()
    return both


async def call(session: Session, tool: str, *answers: Any) -> str:
    """What the server's tool gives when these are the user's answers."""
    person(session).answers = list(answers)
    return (await call_tool(session, ToolCall("1", tool, {}))).result.text


@pytest.mark.parametrize("server", ["old", "new"])
async def test_a_form_is_asked_field_by_field_and_sent(agent: Session, server: str) -> None:
    said = json.loads(await call(agent, f"{server}_form", *FORM))
    assert said["action"] == "accept"
    assert said["content"] == {"name": "Ada", "age": 36, "size": "large", "news": False}
    questions = person(agent).questions
    assert questions[0] == f"The MCP server {server!r} asks for something: answer it?"
    assert questions[1] == f"{server}: Your name"
    assert questions[2] == f"{server}: Your name: 'A' is too short"
    assert questions[-2:] == [f"{server}: news (Letters)", f"{server}: note, may be empty"]


@pytest.mark.parametrize("server", ["old", "new"])
async def test_it_can_be_declined_and_given_up(agent: Session, server: str) -> None:
    assert json.loads(await call(agent, f"{server}_form", False)) == {"action": "decline"}
    assert json.loads(await call(agent, f"{server}_form", True, None)) == {"action": "cancel"}
    assert "content" not in await call(agent, f"{server}_form", True, "Ada", "a", "b", "c"), "not for ever"


@pytest.mark.parametrize("server", ["old", "new"])
async def test_what_cannot_be_shown_is_declined_and_said(agent: Session, server: str) -> None:
    assert json.loads(await call(agent, f"{server}_nested", True)) == {"action": "decline"}
    assert f"The MCP server {server!r} wanted a form filled in that cannot be shown here." in told(agent)
    assert json.loads(await call(agent, f"{server}_address", True)) == {"action": "decline"}
    assert f"The MCP server {server!r} wanted you to open an address; that is not done from here." in told(agent)


@pytest.mark.parametrize("server", ["old", "new"])
async def test_a_server_is_told_the_allowed_folders_where_its_entry_says_so(agent: Session, server: str) -> None:
    roots = json.loads(await call(agent, f"{server}_folders"))["roots"]
    assert [each["name"] for each in roots] == ["one", "two words"]
    assert roots[1]["uri"].startswith("file:///")
    assert roots[1]["uri"].endswith("/two%20words")


async def test_other_servers_are_not_told(tmp_path: Path) -> None:
    async with offered(tmp_path, old=asking("old")) as session:
        assert "not supported" in await call(session, "old_folders")


async def test_the_users_model_writes_for_nobody_else(agent: Session) -> None:
    assert "not supported" in await call(agent, "old_sampling")
    wants = "Failed: The tool 'sampling' of the MCP server 'new' wants 'sampling/createMessage', which is not offered"
    assert (await call(agent, "new_sampling")).startswith(wants)


async def test_time_stands_still_while_a_person_is_asked() -> None:
    clocks, now = Clocks(), asyncio.get_running_loop().time
    async with clocks.limit(1000) as extend:
        (clock,) = clocks._running
        with clocks.stopped():
            assert clock.when() is None
            extend()
            assert clock.when() is None
        when = clock.when()
        assert when is not None
        assert when > now()
    with pytest.raises(TimeoutError):
        async with clocks.limit(0.01):
            await asyncio.Event().wait()


async def test_a_call_that_is_stopped_takes_its_question_along(agent: Session) -> None:
    asking, ended = asyncio.Event(), asyncio.Event()

    async def confirm(question: str, detail: str = "") -> bool:
        asking.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(person(agent)), "confirm", staticmethod(confirm))
        calling = asyncio.create_task(call(agent, "new_form"))
        await asking.wait()
        calling.cancel()
        await asyncio.wait([calling])
        await ended.wait()
    assert calling.cancelled()


async def test_a_hostile_form_is_bounded(agent: Session) -> None:
    many = {"properties": {str(number): {"type": "string"} for number in range(1000)}}
    assert await filled(person(agent), "x", "", many) == ("decline", None)
    odd = {"properties": {"a": {"type": "string", "minLength": "3", "pattern": "(a+)+$"}}, "required": "a"}
    person(agent).answers = [True, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!"]
    assert (await filled(person(agent), "x", "m" * 10_000, odd))[0] == "accept"
    assert await filled(person(agent), "x", "", {"properties": 3}) == ("decline", None), "nobody said yes"


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ({}, 'needs you to sign in, which cannot be done from here: get a token from who runs it and give it in its '
             'entry as "headers": {"Authorization": "Bearer TOKEN"}.'),
        ({"authorization": "Bearer old"}, "does not accept the Authorization among its headers: get a new token there "
                                          "and give that."),
    ],
)  # fmt: skip
async def test_a_server_that_wants_its_user_to_sign_in_says_how(
    tmp_path: Path, headers: dict[str, str], sentence: str
) -> None:
    refusal = b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 0\r\n\r\n"
    async with answering(refusal) as url, offered(tmp_path, web={"url": url, "headers": headers}) as session:
        assert told(session) == f"The MCP server 'web' {sentence}"
        with pytest.raises(UsageError, match="The MCP server 'web' "):
            await ran(session, "/mcp list web")
        assert servers(session.host).connections["web"].state == "failed"
