"""The stdio transport: a server as a child process that speaks one line of JSON per message.

In place of the SDK's own, which has no bounds: a server that floods, that never ends a line or that writes to its
standard error without end must not take this process's time or memory. What is sent and how a server is ended follow
the MCP specification 2025-11-25, "Transports: stdio" and "Lifecycle: shutdown".
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
from mcp.client.stdio import get_default_environment
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter
from pydantic import ValidationError

from chatapp import UsageError, one_line
from chatapp_tools.servers.configured import Entry

LONGEST_LINE = 16 * 2**20
"""Bytes of one message; a picture of some megabytes fits."""
MOST_MESSAGES = 400
"""Messages taken in a second; a server that sends more waits at its pipe."""
HEAVY = 65_536
"""Bytes of a message that count as one more message."""
MOST_GARBAGE = 200
"""Lines that are no message; some programs greet on standard output, and only those are forgiven."""
LAST_LINES = 5
GRACE = 1.0
"""Seconds a server has to end after its input was closed, and once more after SIGTERM."""


class Child:
    """A server's process as the rest wants to know it: its last words, and whether it is over and why."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.stderr: deque[str] = deque(maxlen=LAST_LINES)
        self.process: asyncio.subprocess.Process | None = None
        self.why = ""
        self.over = asyncio.Event()

    @property
    def words(self) -> str:
        """Its last lines on standard error, as the end of a sentence; empty when it said nothing."""
        said = one_line(" / ".join(self.stderr), 300).rstrip(".")
        return f"; its last words: {said}" if said else ""

    def ended(self) -> str:
        """That it is over, as a sentence."""
        code = self.process.returncode if self.process is not None else None
        how = self.why or ("ended by itself" if code is None else f"ended by itself (exit code {code})")
        return f"The MCP server {self.entry.name!r} {how}{self.words}."


@asynccontextmanager
async def piped(child: Child) -> AsyncGenerator[tuple[Any, Any], None]:
    """Start the server and connect to it: the streams the SDK's client wants. UsageError when it cannot be started.

    At the end its input is closed; what is left of its process group after `GRACE` seconds is killed.
    """
    process = child.process = await _started(child.entry)
    into, read_stream = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    write_stream, out_of = anyio.create_memory_object_stream[SessionMessage](0)
    async with anyio.create_task_group() as group:
        group.start_soon(_read, child, into)
        group.start_soon(_listen, child)
        group.start_soon(_write, process, out_of)
        try:
            yield read_stream, write_stream
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)
            group.cancel_scope.cancel()
            for stream in (into, read_stream, write_stream, out_of):
                stream.close()


async def _started(entry: Entry) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    # Only what a program needs is inherited: secrets in this process's environment are not every server's business.
    environment = {**get_default_environment(), **entry.env}
    folder = os.path.expanduser(entry.cwd) if entry.cwd else None  # noqa: PTH111
    try:
        return await asyncio.create_subprocess_exec(
            os.path.expanduser(entry.command), *entry.args,  # noqa: PTH111
            stdin=pipe, stdout=pipe, stderr=pipe, env=environment, cwd=folder, start_new_session=True,
            limit=LONGEST_LINE,
        )  # fmt: skip
    except OSError as error:
        missing = f"there is no folder {entry.cwd}" if folder and not os.path.isdir(folder) else ""  # noqa: PTH112
        missing = missing or (f"there is no program {entry.command!r}" if isinstance(error, FileNotFoundError) else "")
        raise UsageError(
            f"The MCP server {entry.name!r} cannot be started: {missing or error.strerror or error}."
        ) from None


async def _read(child: Child, into: Any) -> None:
    assert child.process is not None
    assert child.process.stdout is not None
    pace, garbage = Pace(), 0
    with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
        async with into:
            while line := await _line(child, child.process.stdout):
                await pace.step(len(line))
                message = await _parsed(line)
                if message is not None:
                    await into.send(SessionMessage(message))
                elif line.strip():
                    garbage += 1
                if garbage > MOST_GARBAGE:
                    child.why = "sends what is no MCP message"
                    break
            if not child.why:
                # The exit code comes a moment after the end of the output.
                await _exited(child.process)
            child.over.set()


async def _line(child: Child, stdout: asyncio.StreamReader) -> bytes:
    try:
        return await stdout.readline()
    except ValueError:
        child.why = f"sent a message of more than {LONGEST_LINE // 2**20} MB"
        return b""


async def _parsed(line: bytes) -> Any:
    """The message in a line, None where it is none. A long one is parsed in a thread: it takes a while."""
    try:
        if len(line) > 20 * HEAVY:
            return await asyncio.to_thread(jsonrpc_message_adapter.validate_json, line, by_name=False)
        return jsonrpc_message_adapter.validate_json(line, by_name=False)
    except ValidationError:
        return None


class Pace:
    """Holds whoever sends too much: at most `MOST_MESSAGES` a second."""

    def __init__(self) -> None:
        self._since = time.monotonic()
        self._count = 0

    async def step(self, size: int) -> None:
        """Count a message of `size` bytes, and wait when this second's are used up."""
        self._count += 1 + size // HEAVY
        left = self._since + 1 - time.monotonic()
        if left > 0:
            # Never without a pause: reading what is buffered already gives nobody else a turn.
            await asyncio.sleep(left if self._count > MOST_MESSAGES else 0)
        if left <= 0 or self._count > MOST_MESSAGES:
            self._since, self._count = time.monotonic(), 0


async def _listen(child: Child) -> None:
    """Keep the last lines of standard error; without a reader the server would stand still."""
    assert child.process is not None
    assert child.process.stderr is not None
    rest = ""
    while data := await child.process.stderr.read(8192):
        *lines, rest = (rest + data.decode("utf-8", "replace")).split("\n")
        child.stderr.extend(line.strip()[:500] for line in lines[-LAST_LINES:] if line.strip())
        rest = rest[:500]
        await asyncio.sleep(0.005)
    if rest.strip():
        child.stderr.append(rest.strip())


async def _write(process: asyncio.subprocess.Process, out_of: Any) -> None:
    assert process.stdin is not None
    with suppress(ConnectionError, anyio.ClosedResourceError):
        async with out_of:
            async for each in out_of:
                process.stdin.write(each.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
                await process.stdin.drain()


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    for sign in (signal.SIGTERM, signal.SIGKILL):
        await _exited(process)
        # The group outlives its leader where that has children: `npx` starts the server as one.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, sign)
        if not _group_lives(process.pid):
            break
    await _exited(process)
    _close(process)


async def _exited(process: asyncio.subprocess.Process) -> None:
    """Wait until the process itself has ended, at most `GRACE` seconds."""
    with anyio.move_on_after(GRACE):
        # Not `wait()`: that waits for the ends of its pipes as well, which its own children may hold.
        while process.returncode is None:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def _group_lives(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _close(process: asyncio.subprocess.Process) -> None:
    # Stays open while a descendant that left the group holds a pipe; nothing public closes it.
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()
