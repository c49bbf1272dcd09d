"""Running a program with all its children: bounded in time and output, ended as a whole."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chatapp import UsageError

HEAD, TAIL = 3_000, 3_000
"""Bytes of the output that are kept from its beginning and from its end."""
MOST_OUTPUT = 50_000_000
"""Bytes of output after which the program is ended."""
TICK = 0.5
"""Seconds between two looks at a running program."""
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_SECRET = re.compile(r"TOKEN|KEY|SECRET|PASSW|PASSPHRASE|CREDENTIAL|AUTH|PRIVATE|COOKIE|PWD$(?<!^PWD)(?<!^OLDPWD)")
_PASSWORD_IN_ADDRESS = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
_RUNS = frozenset({"BASH_ENV", "ENV", "PYTHONSTARTUP", "PROMPT_COMMAND"})
"""Variables that make a shell run something before what was allowed."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its exit code, negative for a signal, what it wrote, and why it was ended early, if so."""

    code: int
    output: str
    why: str = ""
    seconds: float = 0.0


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment without what by its name or its form is a secret, and so that nothing waits for a reader."""
    kept = {
        name: value
        for name, value in environ.items()
        if not _SECRET.search(name.upper()) and not _PASSWORD_IN_ADDRESS.search(value) and name not in _RUNS
    }
    return {**kept, "PAGER": "cat", "GIT_PAGER": "cat", "TERM": "dumb", "GIT_TERMINAL_PROMPT": "0"}


async def run_process(
    arguments: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
    timeout: float,
    check: Callable[[], str] = str,
) -> AsyncGenerator[float | Ended, None]:
    """Run a program: the seconds so far now and then, at last an Ended. Closing the iterator ends it at once.

    `check` is called now and then and says why it must end, if it must.
    It has no input, and a session of its own; when it ends, all that it started in that session ends too.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    output = _Output()
    try:
        process = await _start(arguments, folder, environ, output)
        try:
            why = ""
            ending = asyncio.ensure_future(process.wait())
            while not why and not (await asyncio.wait([ending], timeout=min(TICK, timeout)))[0]:
                yield loop.time() - began
                why = _limit(loop.time() - began, timeout, output.total) or check()
        finally:
            _end(process)
            await ending
        output.drain()
        yield Ended(process.returncode or 0, output.text(), why, loop.time() - began)
    finally:
        output.close()


async def _start(
    arguments: Sequence[str], folder: Path, environ: Mapping[str, str], output: _Output
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output.end,
            stderr=output.end,
            cwd=folder,
            env=dict(environ),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise UsageError(f"The command cannot be started: {getattr(error, 'strerror', None) or error}.") from error
    finally:
        output.opened()


def _limit(seconds: float, timeout: float, size: int) -> str:
    if seconds >= timeout:
        return f"it took longer than {timeout:g} seconds"
    return f"it wrote more than {MOST_OUTPUT // 1_000_000} MB" if size > MOST_OUTPUT else ""


def _end(process: asyncio.subprocess.Process) -> None:
    """End the program and all of its children, those that left its group too while their parent is there."""
    import psutil

    children = []
    with suppress(psutil.Error):
        children = psutil.Process(process.pid).children(recursive=True) if process.returncode is None else []
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for child in children:
        with suppress(psutil.Error):
            child.kill()


class _Output:
    """What comes through a pipe: the beginning and the end of it are kept.

    A pipe of our own, because a child that escaped may hold the other end open for as long as it likes.
    """

    def __init__(self) -> None:
        self._pipe, self.end = os.pipe()
        os.set_blocking(self._pipe, False)
        self.total = 0
        self._head = b""
        self._tail: deque[bytes] = deque()

    def opened(self) -> None:
        """The child has the other end now, or never will."""
        os.close(self.end)
        asyncio.get_running_loop().add_reader(self._pipe, self._more)

    def _more(self) -> bool:
        try:
            data = os.read(self._pipe, 65_536)
        except BlockingIOError:
            return False
        if not data:
            asyncio.get_running_loop().remove_reader(self._pipe)
            return False
        self.total += len(data)
        room = HEAD - len(self._head)
        self._head += data[:room] if room > 0 else b""
        self._tail.append(data[max(room, 0) :])
        while sum(map(len, self._tail)) - len(self._tail[0]) >= TAIL:
            self._tail.popleft()
        return True

    def drain(self) -> None:
        """Take what is in the pipe still."""
        while self.total <= MOST_OUTPUT and self._more():
            pass

    def close(self) -> None:
        """Take nothing more."""
        asyncio.get_running_loop().remove_reader(self._pipe)
        os.close(self._pipe)

    def text(self) -> str:
        """What was kept, with a line that says how much is left out; colours and the like are taken out."""
        tail = b"".join(self._tail)
        left = self.total - len(self._head) - min(len(tail), TAIL)
        middle = f"\n… ({left:,} bytes left out) …\n".encode() if left else b""
        text = (self._head + middle + tail[-TAIL:]).decode("utf-8", "replace")
        return _ESCAPES.sub("", text).replace("\r\n", "\n").rstrip()
