"""`chatapp mcp` as a real process, called by the SDK's own client: tools, consent, stray output, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from mcp import MCPError, types

from chatapp_tools.servers.configured import FILE
from tests.plugins.mcp_serving import Caller, calling, made_home
from tests.plugins.mcp_support import GOOD, rough
from tests.support_cli import CHATAPP, PATIENCE, chatapp, environment

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home for the tests that do not change it."""
    return made_home(tmp_path_factory.mktemp("home"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def modern(home: Path) -> AsyncIterator[Caller]:
    """A caller that speaks the newest protocol and can ask its user."""
    async with calling(home, asks=True) as caller:
        yield caller


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def older(home: Path) -> AsyncIterator[Caller]:
    """A caller that begins with the handshake of 2025 and can ask its user."""
    async with calling(home, "serve", asks=True, mode="legacy") as caller:
        yield caller


@pytest.fixture(params=["modern", "older"])
def caller(request: pytest.FixtureRequest, modern: Caller, older: Caller) -> Caller:
    """Either."""
    return modern if request.param == "modern" else older


async def test_the_tools_are_listed_and_called_and_several_at_once(caller: Caller) -> None:
    tools = {each.name: each for each in (await caller.client.list_tools()).tools}
    assert {"ask", "count_up", "sink", "launch", "remember", "rag_search", "draw"} <= tools.keys()
    assert tools["count_up"].input_schema["required"] == ["to"]
    assert tools["count_up"].description == "Count, and be noisy about it."
    told: list[tuple[float, float | None, str | None]] = []

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        told.append((progress, total, message))

    counting = asyncio.create_task(caller.client.call_tool("count_up", {"to": 8}, progress_callback=progress))
    asked = await asyncio.gather(*(caller.call("ask", question=f"how is number {each}") for each in range(3)))
    counted = await counting
    assert [block.text for block in counted.content if isinstance(block, types.TextContent)] == ["Counted to 8."]
    assert counted.structured_content == {"to": 8}
    assert [text.strip() for text, _ in asked] == [f"HOW IS NUMBER {each}" for each in range(3)]
    assert told
    assert told == sorted(told, key=lambda each: each[0])
    assert told[0][2] == "Counting"


async def test_what_fails_is_one_sentence(caller: Caller) -> None:
    assert await caller.call("refuse") == ("Not today.", True)
    text, failed = await caller.call("count_up", to="many")
    assert failed
    assert text.startswith("The argument 'to' does not fit: Input should be a valid integer")
    with pytest.raises(MCPError, match="There is no tool 'nowhere'"):
        await caller.client.call_tool("nowhere", {})


async def test_a_caller_that_can_ask_its_user_asks(caller: Caller) -> None:
    caller.questions.clear()
    caller.answers += [
        types.ElicitResult(action="accept", content={"allow": True}),
        types.ElicitResult(action="accept", content={"allow": False}),
        types.ElicitResult(action="accept"),
        types.ElicitResult(action="decline"),
    ]
    results = [await caller.call("sink", ship="Vasa") for _ in range(4)]
    assert [failed for _, failed in results] == [False, True, True, True]
    assert results[0][0] == "Vasa is sunk."
    assert len(caller.questions) == 4
    assert all('"ship": "Vasa"' in question for question in caller.questions)


async def test_an_answer_to_another_question_allows_nothing(modern: Caller) -> None:
    yes = types.ElicitResult(action="accept", content={"allow": True})
    ask = modern.client.session.call_tool
    first = await ask("sink", {"ship": "Vasa"}, input_responses={"consent": yes}, allow_input_required=True)
    assert isinstance(first, types.InputRequiredResult), "an answer that nobody asked for does not count"
    state = first.request_state
    other = await ask(
        "sink", {"ship": "Ark"}, input_responses={"consent": yes}, request_state=state, allow_input_required=True
    )
    assert isinstance(other, types.InputRequiredResult), "nor does one to another question"


async def test_what_would_ask_is_refused_where_nobody_can_be_asked_unless_the_settings_name_it(home: Path) -> None:
    async with calling(home, asks=False) as caller:
        text, failed = await caller.call("sink", ship="Vasa")
        assert failed
        assert text.startswith("The user did not allow 'sink'; tools named in mcp_allowed")
        assert await caller.call("launch", ship="Vasa") == ("Vasa is launched.", False)


async def test_a_cancelled_call_ends_its_children(caller: Caller, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    call = asyncio.create_task(caller.client.call_tool("sleep", {"note": str(note)}))
    pid = await _written(note)
    call.cancel()
    await asyncio.wait([call])
    await _gone(pid)
    assert await caller.call("refuse") == ("Not today.", True), "it goes on serving"


@pytest.mark.parametrize("end", ["eof", "term"])
async def test_the_end_of_the_caller_and_a_signal_end_it_cleanly(home: Path, tmp_path: Path, end: str) -> None:
    note = tmp_path / "pid"
    with _started(home) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
        requests: list[dict[str, Any]] = [
            {"id": 1, "method": "initialize", "params": about},
            {"method": "notifications/initialized"},
            {"id": 2, "method": "tools/call", "params": {"name": "sleep", "arguments": {"note": str(note)}}},
        ]
        for each in requests:
            process.stdin.write(json.dumps({"jsonrpc": "2.0", **each}).encode() + b"\n")
        process.stdin.flush()
        pid = await _written(note)
        if end == "eof":
            process.stdin.close()
        else:
            process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, PATIENCE) == 0
        lines = process.stdout.read().splitlines()
        assert [json.loads(line)["id"] for line in lines][:1] == [1], "only messages are on standard output"
        await _gone(pid)


async def test_the_shell_lists_the_servers_it_would_use(tmp_path: Path) -> None:
    home = made_home(tmp_path)
    servers = {"fine": rough("fine"), "far": {"url": "https://example.org/mcp"}, "off": {**GOOD, "disabled": True}}
    (home / "config" / FILE).write_text(json.dumps({"mcpServers": servers}))
    done = await asyncio.to_thread(chatapp, home, "--offline", "mcp", "list", "--json")
    assert done.code == 0, done.err
    rows = {row["server"]: (row["state"], row["offers"]) for row in json.loads(done.out.splitlines()[-1])}
    assert rows == {
        "fine": ("on", "1 tool"),
        "far": ("off", "needs the network, which --offline forbids"),
        "off": ("off", "is switched off where it is configured"),
    }


async def test_garbage_does_not_end_it(home: Path) -> None:
    lines = b'hello\n{"jsonrpc": "2.0"}\n\xff\xfe\n[]\n{"jsonrpc":"2.0","id":1,"method":"ping"}\n'
    done = await asyncio.to_thread(chatapp, home, "mcp", stdin=lines)
    assert done.code == 0
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in done.out.splitlines())


def _started(home: Path) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen([CHATAPP, "mcp"], stdin=pipe, stdout=pipe, stderr=pipe, env=environment(home))


async def _written(note: Path) -> int:
    for _ in range(6000):
        if note.exists() and note.read_text():
            return int(note.read_text())
        await asyncio.sleep(0.01)
    raise AssertionError("the tool did not start")


async def _gone(pid: int) -> None:
    for _ in range(1000):
        with suppress(ProcessLookupError):
            os.kill(pid, 0)
            await asyncio.sleep(0.01)
            continue
        return
    raise AssertionError("the child lives on")
