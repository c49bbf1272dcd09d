"""Running a snippet of Python in a child process that has walls around it, and a folder of its own."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from chatapp import Ask, Data, Progress, Rest, Session, UsageError, action
from chatapp_tools.options import ToolsSettings
from chatapp_tools.processes import Ended, run_process
from chatapp_tools.running import told

LONGEST = 100_000
"""Characters of a snippet."""
MOST_SCRATCH = 200_000_000
"""Bytes of all files in the scratch folder."""
MOST_FILES = 5_000


async def may_run_python(session: Session, values: Mapping[str, Any]) -> Ask:
    """Asks with the code; where the system has no walls that hold, once for each."""
    from chatapp_tools import sandboxed

    code = _checked(values["code"])
    question = "Run this Python code, with no network and no files but those of an empty folder of its own?"
    if await asyncio.to_thread(sandboxed.walled):
        return Ask(question, code, "command", exact=code)
    beware = " Beware: this system has no walls that hold against malicious code."
    return Ask(question + beware, code, "command", (code,), code)


@action("run python", tool=True, consent=may_run_python, shell=False)
async def run_python(
    session: Session,
    code: Annotated[str, "Python code; print what you want to know, or end with an expression", Rest()],
) -> AsyncGenerator[Progress | Data, None]:
    """Run Python code and show what it prints. Use it for work on data; it has no network and no files of the user.

    It has the standard library only.
    """
    settings = session.host.config(ToolsSettings)
    async with aclosing(run_snippet(_checked(code), settings.memory, settings.timeout)) as news:
        async for each in news:
            if isinstance(each, Ended):
                yield told(code, each)
            else:
                yield Progress("Running Python", each, settings.timeout, "s")


async def run_snippet(code: str, memory: int, timeout: int) -> AsyncGenerator[float | Ended, None]:
    """Run the code within `memory` megabytes and `timeout` seconds, as `run_process` does."""
    from chatapp_tools import sandboxed

    scratch = await asyncio.to_thread(_scratch, code)
    arguments = [sys.executable, "-I", "-S", "-B", "-u", "-X", "utf8", sandboxed.__file__, scratch.name]
    arguments += [str(memory), str(timeout)]
    environ = {"HOME": scratch.name, "TMPDIR": scratch.name, "LANG": "C.UTF-8", "TZ": os.environ.get("TZ", "")}
    try:
        check = partial(_too_full, scratch.name)
        async with aclosing(run_process(arguments, Path(scratch.name), environ, timeout, check)) as news:
            async for each in news:
                yield each
    finally:
        await asyncio.to_thread(scratch.cleanup)


def _checked(code: str) -> str:
    if not code.strip():
        raise UsageError("Give the Python code to run, for example print(2 ** 10).")
    if len(code) > LONGEST or "\0" in code:
        raise UsageError(f"The code is longer than {LONGEST:,} characters, or no text: run a part of it.")
    return code


def _scratch(code: str) -> tempfile.TemporaryDirectory[str]:
    scratch = tempfile.TemporaryDirectory(prefix="chatapp-python-", ignore_cleanup_errors=True)
    (Path(scratch.name) / "snippet.py").write_text(code, encoding="utf-8", errors="replace", newline="")
    return scratch


def _too_full(scratch: str) -> str:
    """Why the files are too many or too large; empty where they are not."""
    total = count = 0
    for folder, _, names in os.walk(scratch):
        for name in names:
            path = Path(folder) / name
            total += path.lstat().st_size if os.path.lexists(path) else 0
            count += 1
        if total > MOST_SCRATCH or count > MOST_FILES:
            return f"it wrote more than {MOST_SCRATCH // 1_000_000} MB or {MOST_FILES:,} files"
    return ""
