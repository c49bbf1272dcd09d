"""Snippets of Python: what they print, their walls, with and without the hook that explains them, and their end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from chatapp.session import Session
from chatapp_tools import sandboxed, snippets
from chatapp_tools.processes import Ended
from chatapp_tools.snippets import run_snippet
from tests.plugins.tools_support import asked, call, told, tools

needs_walls = pytest.mark.skipif(not sandboxed.walled(), reason="this system has no walls that hold by themselves")


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    """A session with the tools."""
    async with tools(tmp_path / "home") as made:
        yield made


async def ended(code: str, memory: int = 512, timeout: int = 60) -> Ended:
    """How a snippet ends."""
    async with aclosing(run_snippet(textwrap.dedent(code), memory, timeout)) as news:
        (found,) = [each async for each in news if isinstance(each, Ended)]
    return found


async def test_it_is_asked_for_with_its_code_and_prints_as_a_notebook_does(session: Session) -> None:
    code = "import math\nprint('café')\nmath.comb(5, 2)"
    assert await told(session, "run_python", False, code=code) == "The user did not allow this."
    assert await told(session, "run_python", True, code=code) == "café\n10\n(exit code 0)"
    ask = asked(session)
    assert ask.detail == ask.exact == code
    assert ask.shown_as == "command"
    assert ask.dangers == (() if sandboxed.walled() else (code,))
    assert await told(session, "run_python", True, code="x = 1") == "(it printed nothing)\n(exit code 0)"
    assert "Give the Python code" in await told(session, "run_python", code=" ")


async def test_what_it_raises_is_told_with_its_own_lines_only(session: Session) -> None:
    found = await told(session, "run_python", True, code="def f(x):\n    return 1 / x\nf(0)")
    assert found.startswith("Traceback (most recent call last):\n")
    assert 'File "snippet.py", line 2, in f' in found
    assert "    return 1 / x" in found
    assert found.endswith("ZeroDivisionError: division by zero\n(exit code 1)")
    assert "sandboxed.py" not in found
    assert "SyntaxError" in (await ended("1 +")).output
    assert (await ended("raise SystemExit(3)")).code == 3
    assert "EOFError" in (await ended("input()")).output
    assert "ModuleNotFoundError" in (await ended("import numpy")).output


async def test_its_folder_is_its_own_and_gone_afterwards() -> None:
    found = await ended("""
        import os, sqlite3, tempfile
        open('a.txt', 'w').write('x')
        tempfile.NamedTemporaryFile().write(b'x')
        sqlite3.connect('db').execute('create table t (n)')
        os.mkdir('locked'); os.chmod('locked', 0)
        print(os.getcwd())
    """)
    assert found.code == 0, found.output
    assert not Path(found.output).exists()


OWN_FOLDER = "A snippet may use only files in its own folder"
REFUSED = {
    "open('/etc/passwd').read()": OWN_FOLDER,
    "open('../x', 'w')": OWN_FOLDER,
    "import os; os.symlink('/etc/passwd', 'l')": OWN_FOLDER,
    "import os; os.listdir('/')": OWN_FOLDER,
    "import os; os.open('/etc/passwd', os.O_RDONLY)": OWN_FOLDER,
    "import os; os.rename('/tmp', 'x')": OWN_FOLDER,
    "import pathlib; pathlib.Path('/tmp/new').mkdir()": OWN_FOLDER,
    "import sqlite3; sqlite3.connect('/tmp/x.db')": OWN_FOLDER,
    "import socket; socket.socket()": "no network",
    "import urllib.request as u; u.urlopen('http://127.0.0.1')": "no network",
    "import socket; socket.gethostbyname('localhost')": "no network",
    "import subprocess; subprocess.run(['ls'])": "no processes",
    "import os; os.system('ls')": "no processes",
    "import os; os.fork()": "no processes",
    "import os; os.execv('/bin/ls', ['ls'])": "no processes",
    "import os; os.posix_spawn('/bin/ls', ['ls'], {})": "no processes",
    "import os; os.kill(os.getppid(), 9)": "no processes",
    "import ctypes": "native code",
}


async def test_what_it_may_not_do_is_refused_in_a_sentence() -> None:
    tries = "".join(
        f"try:\n    exec({code!r})\nexcept PermissionError as error:\n    print(error)\n"
        f"except BaseException as error:\n    print(repr(error))\nelse:\n    print('done')\n"
        for code in REFUSED
    )
    lines = (await ended(tries)).output.split("\n")
    assert len(lines) == len(REFUSED)
    for code, line in zip(REFUSED, lines, strict=True):
        assert REFUSED[code] in line, code


BARE = """
    import ctypes, importlib.util, os, socket, sys, threading
    spec = importlib.util.spec_from_file_location("sandboxed", {file!r})
    walls = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(walls)
    if {namespaces}:
        walls._own_namespaces()
    walls._wall_files([{scratch!r}], walls.LIBRARIES)
    walls._wall_calls()
    libc = ctypes.CDLL(None, use_errno=True)

    def attempt(name, work):
        try:
            print(name, "done" if work() is not False else "refused")
        except OSError as error:
            print(name, "refused")

    attempt("read", lambda: open("/etc/passwd"))
    attempt("list", lambda: os.listdir("/etc"))
    attempt("write", lambda: open({outside!r}, "w"))
    attempt("link", lambda: (os.symlink("/etc/passwd", {scratch!r} + "/l"), open({scratch!r} + "/l")))
    attempt("rename", lambda: os.rename({scratch!r} + "/own", {outside!r}))
    attempt("socket", lambda: socket.socket())
    attempt("fork", lambda: os.fork())
    attempt("exec", lambda: os.execv("/bin/true", ["true"]))
    attempt("clone", lambda: libc.syscall(56 if os.uname().machine == "x86_64" else 220, 17, 0, 0, 0, 0) >= 0)
    attempt("kill", lambda: os.kill(os.getppid(), 0))
    attempt("unshare", lambda: libc.unshare(0x10000000) == 0)
    attempt("own", lambda: open({scratch!r} + "/own", "a").write("x"))
    thread = threading.Thread(target=lambda: print("thread done"))
    thread.start()
    thread.join()
"""


@needs_walls
@pytest.mark.parametrize("namespaces", [True, False])
def test_the_walls_hold_without_the_hook(tmp_path: Path, namespaces: bool) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / "own").touch()
    outside = tmp_path / "outside.txt"
    code = BARE.format(file=sandboxed.__file__, scratch=str(scratch), outside=str(outside), namespaces=namespaces)
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    told = dict(line.split() for line in done.stdout.splitlines())
    assert {name for name, how in told.items() if how == "done"} == {"own", "thread"}
    assert len(told) == 13
    assert not outside.exists()


async def test_memory_and_files_are_limited() -> None:
    assert "MemoryError" in (await ended("x = bytearray(200_000_000)", memory=128)).output
    assert "File too large" in (await ended("open('x', 'wb').write(b'x' * 60_000_000)")).output
    assert "Too many open files" in (await ended("files = [open('x', 'w') for n in range(100)]")).output


async def test_an_endless_loop_and_a_flood_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await ended("print('begun')\nwhile True: pass", timeout=3)
    assert (found.output, found.why) == ("begun", "it took longer than 3 seconds")
    monkeypatch.setattr("chatapp_tools.processes.MOST_OUTPUT", 1_000_000)
    assert (await ended("while True: print('x' * 1000)")).why == "it wrote more than 1 MB"


async def test_a_folder_that_fills_up_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snippets, "MOST_FILES", 20)
    found = await ended("import time\nfor n in range(30): open(str(n), 'w').close()\ntime.sleep(300)")
    assert "20 files" in found.why


async def test_threads_and_what_the_library_has_work() -> None:
    found = await ended("""
        import asyncio, csv, datetime, decimal, hashlib, json, random, statistics, threading, uuid, zoneinfo
        thread = threading.Thread(target=print, args=('thread',))
        thread.start(); thread.join()
        asyncio.run(asyncio.sleep(0))
        datetime.datetime(2026, 7, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Lisbon')).isoformat()
    """)
    assert found.output == "thread\n'2026-07-01T00:00:00+01:00'"


async def test_giving_up_ends_it_at_once(session: Session) -> None:
    code = "while True: pass"
    before = {each.pid for each in psutil.Process().children()}
    calling = asyncio.ensure_future(call(session, "run_python", True, code=code))
    while not (started := {each.pid for each in psutil.Process().children()} - before):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    calling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calling
    assert not any(psutil.pid_exists(pid) for pid in started)
