"""What the tests of MCP share: servers of our own as child processes, and hosts that know them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from chatapp import Action, Event, Host, Session, ToolCall, call_tool, hookimpl
from chatapp.testing import RecordingUI, make_host
from chatapp.tooling import Called
from chatapp_tools.options import ToolsSettings
from chatapp_tools.servers.commands import COMMANDS
from chatapp_tools.servers.configured import FILE
from chatapp_tools.servers.shelf import close, refresh

FOLDER = Path(__file__).parent / "mcp_servers"
GOOD: dict[str, Any] = {"command": sys.executable, "args": [str(FOLDER / "good.py")]}


class McpPlugin:
    """The tools plugin as far as MCP goes."""

    @hookimpl
    def settings(self) -> type[BaseModel]:
        """The plugin's own."""
        return ToolsSettings

    @hookimpl
    def actions(self) -> Iterable[Action]:
        """`/mcp`."""
        return COMMANDS

    @hookimpl
    async def shutdown(self, host: Host) -> None:
        """End the servers."""
        await close(host)


def rough(mode: str, **more: Any) -> dict[str, Any]:
    """The configuration of a server that misbehaves."""
    return {"command": sys.executable, "args": ["-I", str(FOLDER / "rough.py"), mode], **more}


def configure(host: Host, **servers: Any) -> None:
    """Write the file that names the servers."""
    (host.paths.config / FILE).write_text(json.dumps({"mcpServers": servers}))


@asynccontextmanager
async def hosting(folder: Path, *, offline: bool = False, tools: Any = None, **servers: Any) -> AsyncIterator[Host]:
    """A started host that knows these servers; they end with it. `tools` are the plugin's settings."""
    host = make_host(folder, tools=dict(tools or {}), offline=offline)
    host.add("tools", McpPlugin())
    configure(host, **servers)
    await host.startup()
    try:
        yield host
    finally:
        await host.shutdown()


@asynccontextmanager
async def offered(folder: Path, **how: Any) -> AsyncIterator[Session]:
    """A session on such a host, with the servers' tools offered."""
    async with hosting(folder, **how) as host:
        session = Session(host)
        await refresh(session)
        yield session


def person(session: Session) -> RecordingUI:
    """Who is in front."""
    assert isinstance(session.ui, RecordingUI)
    return session.ui


def told(session: Session) -> str:
    """All notices so far."""
    return "\n".join(text for _, text in person(session).notices)


async def called(session: Session, name: str, **arguments: Any) -> Called:
    """A call of the model's, allowed this once."""
    person(session).answers = [True]
    return await call_tool(session, ToolCall("1", name, arguments))


async def ran(session: Session, line: str) -> list[Event]:
    """What a slash line gives."""
    return [event async for event in session.run(line)]


@contextmanager
def over_http() -> Iterator[str]:
    """The address of the good server, served over HTTP by a child process."""
    command = [GOOD["command"], *GOOD["args"], "http"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/mcp"
        finally:
            process.terminate()


@asynccontextmanager
async def answering(how: bytes, *, hang: bool = False, size: int = 0) -> AsyncIterator[str]:
    """The address of an HTTP server that answers every request so, then with so many bytes, or hangs."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(how)
            for _ in range(size // 65_536):
                writer.write(b" " * 65_536)
                await writer.drain()
            if hang:
                await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"
        server.close()
