"""An MCP server in the terminal interface: its tool with consent, its prompt, its resource, and its death."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import chatapp_tools
from chatapp.events import Event
from chatapp.messages import ToolCall
from chatapp.testing import ScriptedEngine, sent_texts
from chatapp_tools.servers import connection
from chatapp_tools.servers.shelf import servers
from tests.plugins.mcp_support import FOLDER, GOOD

from .support import Running, host_in, running


def calls(name: str, **arguments: object) -> list[Event | Exception]:
    """An answer that calls a tool."""
    return [ToolCall("1", name, arguments)]


@asynccontextmanager
async def chatting(folder: Path, **servers: object) -> AsyncIterator[Running]:
    """A chat whose settings name these servers, else the good one, and in which tools are on."""
    engine = ScriptedEngine()
    host = host_in(folder, engine, tools={"on": True, "mcp_servers": servers or {"good": GOOD}})
    host.add("tools", chatapp_tools)
    async with running(folder, host=host, engine=engine, size=(100, 30)) as chat:
        yield chat


async def test_a_servers_tool_asks_first_and_its_result_is_read(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        chat.engine.says(calls("good_add", a=2, b=40), "It is forty-two.")
        chat.chat.runner.submit("What is 2 + 40?")
        await chat.shows("Let the model run 'add' of the MCP server 'good'?", "Tool: add", '"b": 40', "Once")
        await chat.press("home", "enter")
        await chat.shows("It is forty-two.")
        assert [tool.name for tool in chat.engine.requests[0].tools if tool.name.startswith("good_")]
        assert sent_texts(chat.engine.requests[-1].messages)[-1] == ("tool", "42")
        chat.engine.says(calls("good_add", a=1, b=1), "I may not.")
        chat.chat.runner.submit("And 1 + 1?")
        await chat.shows('"b": 1')
        await chat.press("escape")
        await chat.shows("I may not.")
        assert sent_texts(chat.engine.requests[-1].messages)[-1] == ("tool", "The user did not allow this.")


async def test_a_prompt_is_a_command_and_a_resource_completes(tmp_path: Path) -> None:
    async with chatting(tmp_path) as chat:
        chat.engine.says("Hello, Ann!")
        await chat.send("/mcp prompt good:greet name=Ann")
        assert sent_texts(chat.engine.requests[-1].messages)[-1] == ("user", "Say hello to Ann, who is happy.")
        chat.chat.composer.put("/mcp prompt good:gr")
        await chat.shows("good:greet")
        chat.chat.composer.put("What does @good:no")
        await chat.shows("good:note://today")
        await chat.press("tab")
        assert chat.chat.composer.text == "What does @good:note://today "
        chat.engine.says("Milk.")
        await chat.send("What does @good:note://today say?")
        (role, text) = sent_texts(chat.engine.requests[-1].messages)[-1]
        assert role == "user"
        assert '<document title="good:note://today">\nBuy milk.' in text


async def test_a_server_that_is_killed_in_mid_call_is_one_sentence_and_the_chat_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow the machine: it is not started again before the test has seen that it is gone.
    monkeypatch.setattr(connection, "FIRST_PAUSE", 300.0)
    async with chatting(tmp_path) as chat:
        chat.engine.says(calls("good_slow", steps=100_000), "It broke off.")
        chat.chat.runner.submit("Take your time.")
        await chat.shows("Let the model run 'slow'")
        await chat.press("home", "enter")
        await chat.shows("step 2")
        process = servers(chat.app.host).connections["good"]._child.process
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        await chat.shows("It broke off.")
        said = "Failed: The MCP server 'good' ended by itself (exit code -9)."
        assert sent_texts(chat.engine.requests[-1].messages)[-1] == ("tool", said)
        chat.engine.says("Here I am.")
        await chat.send("Are you there?")
        assert chat.said[-1] == ("assistant", "Here I am.")
        assert not [tool for tool in chat.engine.requests[-1].tools if tool.name.startswith("good_")]
        assert [notice for notice in chat.notices if "'good' ended by itself (exit code -9)" in notice]


@pytest.mark.parametrize("kind", ["old", "new"])
async def test_a_form_of_a_server_is_filled_in_and_one_that_is_left_goes_away(tmp_path: Path, kind: str) -> None:
    server = {"command": sys.executable, "args": [str(FOLDER / "asking.py"), kind], "free": ["*"]}
    async with chatting(tmp_path, asking=server) as chat:
        chat.engine.says(calls("asking_form"), "Thank you.")
        chat.chat.runner.submit("Fill it in.")
        await chat.shows(
            "The MCP server 'asking' asks for something: answer it?", "Who are you?", "sent to this server"
        )
        await chat.press("y")
        await chat.shows("asking: Your name")
        await chat.press(*"Ada", "enter")
        await chat.shows("asking: age")
        await chat.press(*"36", "enter")
        await chat.shows("asking: size", "large")
        await chat.press("down", "enter")
        await chat.shows("asking: news (Letters)")
        await chat.press("enter")
        await chat.shows("asking: note, may be empty")
        await chat.press("enter")
        await chat.shows("Thank you.")
        (role, text) = sent_texts(chat.engine.requests[-1].messages)[-1]
        assert role == "tool"
        assert json.loads(text)["content"] == {"name": "Ada", "age": 36, "size": "large", "news": False}
        chat.engine.says(calls("asking_form"))
        chat.chat.runner.submit("Once more.")
        await chat.shows("answer it?")
        chat.chat.runner.stop()
        await chat.hides("answer it?")
