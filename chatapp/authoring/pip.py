"""pip, run on the application's own environment."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from chatapp.errors import ChatappError, UsageError
from chatapp.events import Progress
from chatapp.text import one_line

UNDO_SECONDS = 10.0
"""How long pip may take to undo what it began, before it is killed."""
LINE = 60
"""Cells of what pip says that are shown as progress."""


async def pip(verb: str, *words: str) -> AsyncGenerator[Progress, None]:
    """Run `pip VERB WORDS…` to its end, telling what it does; ChatappError with its own reason when it fails.

    Closing the iterator ends pip, which undoes what it began.
    """
    _need_pip(verb, words)
    # -P: a file called like one of pip's modules in the current folder must not be run.
    command = [sys.executable, "-P", "-m", "pip", verb, "--disable-pip-version-check", "--no-input", *words]
    said: list[str] = []
    async with _child(*command) as process:
        assert process.stdout is not None
        async for line in process.stdout:
            said.append(line.decode("utf-8", "replace").strip())
            if said[-1]:
                yield Progress(f"pip: {one_line(said[-1], LINE)}")
        await process.wait()
    if process.returncode:
        raise ChatappError(f"pip could not {verb} this: {_reason(said)}")


@asynccontextmanager
async def _child(*command: str) -> AsyncIterator[Process]:
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = await asyncio.create_subprocess_exec(
        *command, env=environ, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            await _end(process)


async def _end(process: Process) -> None:
    # All it started is in its group. Interrupted, pip puts back what it was about to replace; killed, it does not.
    os.killpg(process.pid, signal.SIGINT)
    try:
        async with asyncio.timeout(UNDO_SECONDS):
            await process.communicate()
    except TimeoutError:
        os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()


def _need_pip(verb: str, words: tuple[str, ...]) -> None:
    """UsageError, which says what to do instead, where this environment has no pip."""
    if find_spec("pip") is not None:
        return
    names = " ".join(word for word in words if not word.startswith("--"))
    settings = Path(sys.prefix) / "pyvenv.cfg"
    if "pipx" in Path(sys.prefix).parts:
        advice = f"pipx {'inject' if verb == 'install' else 'uninject'} chatapp {names}"
    elif settings.is_file() and "uv = " in settings.read_text(encoding="utf-8"):
        advice = f"uv pip {verb} --python {sys.executable} {names}"
    else:
        advice = f"{sys.executable} -m ensurepip"
    raise UsageError(f"This Python has no pip; run `{advice}` in a shell.")


def _reason(said: list[str]) -> str:
    """What pip complained about."""
    errors = [line[len("error: ") :] for line in said if line.lower().startswith("error: ")]
    return one_line(errors[-1] if errors else next(filter(None, reversed(said)), "no reason given"), 300)
