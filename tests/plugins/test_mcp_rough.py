"""Servers that hang, die, flood, send garbage or strange schemas: each is one sentence, and the chat goes on."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from chatapp import Session, ToolCall, UsageError, call_tool, tools_for
from chatapp_tools.servers import connection as connecting
from chatapp_tools.servers import piped
from chatapp_tools.servers.shelf import refresh, servers
from tests.plugins.mcp_support import answering, called, configure, hosting, offered, person, ran, rough, told

QUICK = {"mcp_start": 1}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers that do not end by themselves are ended at once."""
    monkeypatch.setattr(piped, "GRACE", 0.1)


def free(mode: str) -> dict[str, Any]:
    """A rough server whose tool runs without asking."""
    return rough(mode, free=["*"])


async def one(session: Session, server: str) -> str:
    """What a call of the server's tool gives."""
    return (await call_tool(session, ToolCall("1", f"{server}_one", {}))).result.text


async def gone(pid: int) -> bool:
    """Whether that process ends."""
    for _ in range(1000):
        with suppress(ProcessLookupError):
            os.kill(pid, 0)
            await asyncio.sleep(0.01)
            continue
        return True
    return False


async def test_what_goes_wrong_at_the_start_is_told_and_the_others_work(tmp_path: Path) -> None:
    modes = ("hang-start", "hang-list", "die-start", "garbage", "endless")
    several = {mode: free(mode) for mode in modes}
    async with offered(tmp_path, tools=QUICK, **several, none={"command": "no-such-program"}) as session:
        said = told(session)
        for sentence in (
            "The MCP server 'hang-start' did not start within 1 seconds.",
            "The MCP server 'hang-list' did not start within 1 seconds.",
            "The MCP server 'die-start' ended by itself (exit code 1); its last words: no licence.",
            "The MCP server 'none' cannot be started: there is no program 'no-such-program'.",
        ):
            assert sentence in said
        # Which limit is reached first depends on how fast the machine is.
        assert "The MCP server 'garbage' " in said
        assert "The MCP server 'endless' " in said
        assert session.host.tools == {}
        await refresh(session)
        assert told(session) == said, "what was told is not told again, and nothing is tried again at once"
        configure(session.host, fine=free("fine"))
        session.host.set_config("tools", "mcp_start", 30)
        await refresh(session)
        assert (await one(session, "fine")).isdigit()


async def test_a_message_waits_for_a_slow_server_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []

    async def settled(self: connecting.Connection) -> None:
        waited.append(self.entry.name)
        await asyncio.Event().wait()

    async with hosting(tmp_path, slow=free("hang-start")) as host:
        session = Session(host)
        monkeypatch.setattr(connecting.Connection, "settled", settled)
        for _ in range(2):
            await servers(host).started(session, 0.1)
        assert waited == ["slow"]
        assert "The MCP server 'slow' is still starting; its tools come later." in servers(host).problems
        await servers(host).started(session, 0.1, patient=True)
        assert waited == ["slow", "slow"]


async def test_garbage_and_lines_without_end_are_noticed(tmp_path: Path) -> None:
    async with offered(tmp_path, garbage=free("garbage"), endless=free("endless")) as session:
        assert "The MCP server 'garbage' sends what is no MCP message." in told(session)
        assert "The MCP server 'endless' sent a message of more than 16 MB." in told(session)


async def test_a_greeting_is_forgiven_and_a_server_that_wants_the_handshake_first_gets_it(tmp_path: Path) -> None:
    async with offered(tmp_path, greeting=free("greeting"), strict=free("strict")) as session:
        assert told(session) == ""
        assert (await one(session, "greeting")).isdigit()
        assert (await one(session, "strict")).isdigit()


async def test_a_call_that_hangs_is_given_up_and_the_server_with_it(tmp_path: Path) -> None:
    async with offered(tmp_path, tools={"mcp_timeout": 1}, slow=free("hang-call")) as session:
        process = servers(session.host).connections["slow"]
        sentence = "The MCP server 'slow' did not answer the call of 'one' within 1 seconds."
        assert await one(session, "slow") == f"Failed: {sentence}"
        assert await one(session, "slow") == f"Failed: {sentence}", "it is not started again at once"
        for _ in range(1000):
            if process.state == "failed":
                break
            await asyncio.sleep(0.01)
        assert process.state == "failed"


async def test_a_server_that_dies_says_why_and_is_started_again_after_a_pause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with offered(tmp_path, frail=free("die-call")) as session:
        died = (
            "Failed: The MCP server 'frail' ended by itself (exit code 7); its last words: out of memory / no way on."
        )
        assert await one(session, "frail") == died
        await refresh(session)
        assert "frail_one" not in tools_for(session)
        assert died.removeprefix("Failed: ") in told(session)
        monkeypatch.setattr(connecting, "FIRST_PAUSE", 0.0)
        await ran(session, "/mcp restart frail")
        assert await one(session, "frail") == died
        await refresh(session)
        assert "frail_one" in tools_for(session), "after the pause it is started by itself"


async def test_one_that_is_killed_between_messages_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "FIRST_PAUSE", 0.0)
    async with offered(tmp_path, fine=free("fine")) as session:
        pid = int(await one(session, "fine"))
        os.kill(pid, signal.SIGKILL)
        connection = servers(session.host).connections["fine"]
        assert await gone(pid)
        for _ in range(500):
            if connection.state == "failed":
                break
            await asyncio.sleep(0.01)
        assert connection.error == "The MCP server 'fine' ended by itself (exit code -9)."
        await refresh(session)
        assert int(await one(session, "fine")) != pid


async def test_a_flood_does_not_keep_others_from_working_and_can_be_stopped(tmp_path: Path) -> None:
    async with offered(tmp_path, flood=free("flood"), fine=free("fine")) as session:
        call = asyncio.create_task(one(session, "flood"))
        for _ in range(3000):
            if any(each.done > 2 for each in person(session).progressed):
                break
            await asyncio.sleep(0.01)
        assert (await one(session, "fine")).isdigit()
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled()
        assert max(each.done for each in person(session).progressed) < 90_000, "it waits at its pipe"


async def test_an_answer_that_is_no_mcp_is_said_so(tmp_path: Path) -> None:
    async with offered(tmp_path, odd=free("nonsense")) as session:
        expected = "Failed: The MCP server 'odd' answered the call of 'one' with what is no MCP."
        assert await one(session, "odd") == expected


async def test_strange_schemas_are_left_out_one_by_one(tmp_path: Path) -> None:
    async with offered(tmp_path, odd=free("strange")) as session:
        assert set(session.host.tools) == {"odd_one", "odd_ONE", "odd_o_n_e"}
        said = told(session)
        for name, why in (
            ("huge", "its schema is larger than 30,000 characters."),
            ("bomb", "its schema "),
            ("far", "its schema refers to something outside of it (http://127.0.0.1:9/x)."),
            ("wrong", "its schema is not valid: 'no such' is not valid"),
            ("one", "another tool of that name was first."),
        ):
            assert f"The tool {name!r} of the MCP server 'odd' is left out: {why}" in said


async def test_two_servers_cannot_take_each_others_tools(tmp_path: Path) -> None:
    async with offered(tmp_path, **{"a b": rough("fine"), "a_b": rough("fine")}) as session:
        assert list(session.host.tools) == ["a_b_one"]
        assert "The tool 'a_b_one' of the MCP server 'a_b' is left out: there is another of that name." in told(session)
        await called(session, "a_b_one")
        (ask,) = person(session).asked
        assert "MCP server 'a b'" in ask.question


async def test_children_of_a_server_end_with_the_application(tmp_path: Path) -> None:
    inner = free("fine")
    program = " ".join([inner["command"], *inner["args"]])
    kept = tmp_path / "pid"
    shell = {"command": "sh", "args": ["-c", f"sleep 1000 & echo $! > {kept}; {program}; wait"], "free": ["*"]}
    async with hosting(tmp_path, shell=shell) as host:
        session = Session(host)
        await refresh(session)
        pids = [int(await one(session, "shell")), int(kept.read_text())]
    for pid in pids:
        assert await gone(pid)


async def test_a_server_that_is_off_says_how_to_start_it(tmp_path: Path) -> None:
    async with offered(tmp_path, fine=free("fine"), never={**rough("fine"), "disabled": True}) as session:
        await ran(session, "/mcp off fine")
        with pytest.raises(UsageError, match="The MCP server 'fine' is off: /mcp restart starts it"):
            await ran(session, "/mcp read fine:x://y")
        with pytest.raises(UsageError, match="'never' is not used: it is switched off where it is configured"):
            await ran(session, "/mcp restart never")


JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("how", "size", "sentence"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 0, "cannot be used: "),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 0\r\n\r\n", 0, "cannot be used: "),
        (JSON + b"hello", 0, "cannot be used: "),
        (JSON, 2**26, "cannot be used: the answer is larger than 16 MB."),
    ],
)
async def test_addresses_that_answer_anything_else(tmp_path: Path, how: bytes, size: int, sentence: str) -> None:
    async with answering(how, size=size) as url, offered(tmp_path, web={"url": url}) as session:
        assert f"The MCP server 'web' {sentence}" in told(session)


async def test_an_address_that_never_answers_and_one_where_nobody_is(tmp_path: Path) -> None:
    dead = {"url": "http://127.0.0.1:9/"}
    async with (
        answering(b"", hang=True) as url,
        offered(tmp_path, tools=QUICK, web={"url": url}, dead=dead) as session,
    ):
        assert "The MCP server 'web' did not start within 1 seconds." in told(session)
        assert "The MCP server 'dead' cannot be used: All connection attempts failed." in told(session)
