"""What the tests of the command line share: real child processes, with everything of theirs in one folder."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from chatapp.archive import Archive
from chatapp.conversation import Conversation

CHATAPP = str(Path(sys.executable).with_name("chatapp"))
PATIENCE = 60.0
"""Seconds after which what does not come is given up; nothing here takes nearly as long."""

WORDS = """
class Words:
    async def count_tokens(self, texts):
        return [len(text.split()) for text in texts]

    async def tune(self, config):
        return True

    async def close(self):
        pass
"""
"""What the engines of the plugins that tests write have in common: a token is a word, and nothing is held."""

ENDLESS = '''
"""An engine that counts until it is stopped, and one that answers in bytes no terminal should obey."""
import asyncio
from chatapp import EngineInfo, EngineSpec, Finished, Notice, Source, TextDelta, hookimpl

@@WORDS@@
class Endless(Words):
    def __init__(self, host, model):
        self.host, self.info = host, EngineInfo(model, model, 4096)

    async def stream(self, request):
        said = request.messages[-1].text
        if said == "offline?":
            yield TextDelta(str(self.host.offline))
        elif said == "hostile":
            yield Notice("a \\x1b[31mnotice")
            yield TextDelta("red \\x1b[31m and \\x9b2J")
        elif said == "cite":
            yield TextDelta("They purr [1][2].")
            yield Source("report.pdf", "Cats purr.", locator="page 3", number=1, before="unseen")
            yield Source("notes\\x1b[31m.md", "So they do.", number=2)
        else:
            for number in range(100_000):
                await asyncio.sleep(0.005)
                yield TextDelta(f"{number} ")
        yield Finished()

async def open_engine(host, config, report):
    return Endless(host, config.model)

@hookimpl
def engines():
    yield EngineSpec("endless", open_engine, accepts=lambda host, model: model == "endless")
'''.replace("@@WORDS@@", WORDS)

OWN_TERMINAL = (
    "import fcntl, os, signal, sys, termios; signal.signal(signal.SIGHUP, signal.SIG_DFL); "
    "fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
"""Makes standard input the terminal whose Ctrl+C reaches the process, then becomes the command.

Its end is heard of also where the tests themselves run under nohup.
"""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command line came to."""

    code: int
    out: str
    err: str


def environment(home: Path, **more: str) -> dict[str, str]:
    """This process's environment, with all folders of the application below `home`."""
    return {**os.environ, "TERM": "xterm-256color", **more, "CHATAPP_HOME": str(home), "HOME": str(home)}


def chatapp(home: Path, *words: str | Path, stdin: bytes = b"", **more: str) -> Ran:
    """Run `chatapp WORDS…` to its end; standard input is a pipe with `stdin` in it."""
    done = subprocess.run(
        [CHATAPP, *map(str, words)], input=stdin, capture_output=True, env=environment(home, **more), timeout=PATIENCE
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


@contextmanager
def started(home: Path, *words: str | Path) -> Iterator[subprocess.Popen[bytes]]:
    """`chatapp WORDS…` under way, with pipes; killed at the end if it still runs."""
    pipe = subprocess.PIPE
    command = [CHATAPP, *map(str, words)]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=environment(home)
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_some(descriptor: int, size: int) -> bytes:
    """At least `size` bytes, as they come."""
    got = b""
    while len(got) < size:
        more = os.read(descriptor, 65536)
        assert more, f"it ended after {got!r}"
        got += more
    return got


def add_endless(home: Path) -> None:
    """Put the plugin with the endless engine into the user's plugin folder."""
    folder = home / "config" / "plugins"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "endless.py").write_text(ENDLESS)


def latest(home: Path) -> Conversation:
    """The conversation that was written to last."""
    with Archive(home / "data" / "conversations.db") as archive:
        name = archive.latest()
        assert name is not None
        return archive.load(name)


@dataclass(slots=True)
class Terminal:
    """A process whose terminal is a pty; `seen` is all it wrote so far."""

    process: subprocess.Popen[bytes]
    descriptor: int
    seen: str = ""
    _place: int = field(default=0)

    def type(self, text: str) -> None:
        """Write to its terminal, as the keyboard would; what is waited for next must come after this."""
        self._place = len(self.seen)
        os.write(self.descriptor, text.encode())

    def wait_for(self, pattern: str) -> str:
        """Read until something matches the regular expression; what it wrote since the last `type`."""
        assert self._comes(pattern, PATIENCE), f"{pattern!r} did not come: {self.seen!r}"
        return self.seen[self._place :]

    def insist(self, keys: str, pattern: str) -> None:
        """Press keys until something matches: a signal that comes while readline draws its prompt waits for a key."""
        end = time.monotonic() + PATIENCE
        self.type(keys)
        while not self._comes(pattern, 1.0):
            assert time.monotonic() < end, f"{pattern!r} did not come: {self.seen!r}"
            self.type(keys)

    def _comes(self, pattern: str, seconds: float) -> bool:
        end = time.monotonic() + seconds
        while not re.search(pattern, self.seen[self._place :]):
            left = end - time.monotonic()
            if left <= 0:
                return False
            if select.select([self.descriptor], [], [], left)[0] and not self._read():
                return re.search(pattern, self.seen[self._place :]) is not None
        return True

    def end(self) -> int:
        """Read until it ends; its exit code."""
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def _read(self) -> bool:
        with suppress(OSError):
            data = os.read(self.descriptor, 65536)
            self.seen += data.decode("utf-8", "replace")
            return bool(data)
        return False


@contextmanager
def on_terminal(home: Path, *words: str | Path, **more: str) -> Iterator[Terminal]:
    """`chatapp WORDS…` on a terminal of its own; killed at the end if it still runs."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", OWN_TERMINAL, CHATAPP, *map(str, words)]
    environ = environment(home, **more)
    try:
        with subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ, start_new_session=True
        ) as process:
            os.close(theirs)
            try:
                yield Terminal(process, ours)
            finally:
                process.kill()
    finally:
        os.close(ours)
