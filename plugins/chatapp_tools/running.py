"""Running a command of the shell; every one is asked for, with what can do harm marked."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Annotated, Any

from chatapp import Ask, Data, Progress, Rest, Session, UsageError, action, one_line, visible
from chatapp_tools.access import Agreed, Reached, agree, agreed_on, reach, shown_path
from chatapp_tools.options import ToolsSettings
from chatapp_tools.processes import Ended, run_process
from chatapp_tools.repositories import command_environment, objection

LONGEST = 10_000
"""Characters of a command line."""


async def may_run(session: Session, values: Mapping[str, Any]) -> Ask:
    """Asks with the folder and the command line."""
    ask, reached = await asyncio.to_thread(_ask, session, values["command"], values["folder"])
    agree(Agreed(values["folder"], reached))
    return ask


def _ask(session: Session, command: str, written: str) -> tuple[Ask, Reached]:
    from chatapp_tools.dangers import dangers

    reached = _folder(session, command, written)
    place = f"cd {shlex.quote(str(reached.path))}"
    marked = dangers(session, command, reached.path)
    question, exact = f"Run this command in {shown_path(reached.path)}?", f"{reached.path}\n{command}"
    if not reached.inside:
        marked, question = (place, *marked), f"{question} Beware: {reached.why}."
    if re.search(r"\bgit\b", command) and (why := objection(reached.path, writing=bool(marked))):
        # What was allowed for good before the repository had these does not cover it.
        question, exact = f"{question} Beware: {why}.", f"{exact}\n{why}"
    # Whatever does more than read is marked, and asked for each time.
    scope = f"commands that only read, run in {visible(str(reached.path))}"
    return Ask(question, f"{place}\n{command}", "command", marked, exact, scope), reached


def _folder(session: Session, command: str, written: str) -> Reached:
    if not command.strip():
        raise UsageError("Give the command to run, for example ls -l.")
    if len(command) > LONGEST or "\0" in command:
        raise UsageError(f"The command is longer than {LONGEST:,} characters, or no text: write it into a file first.")
    reached = reach(session, written)
    if not reached.folder:
        raise UsageError(f"There is no folder {visible(written)}: leave folder out to run the command in this one.")
    return reached


@action("run command", tool=True, consent=may_run, shell=False)
async def run_command(
    session: Session,
    command: Annotated[str, "One line of the shell, for example: git log --oneline | head -5", Rest()],
    *,
    folder: Annotated[str, "Folder to run it in; . is the current folder"] = ".",
) -> AsyncGenerator[Progress | Data, None]:
    """Run a shell command and show what it prints. Use it where no other tool does what is asked.

    It can ask nothing; what it leaves running is ended.
    """
    reached = await asyncio.to_thread(_folder, session, command, folder)
    agreed_on(folder, reached)
    timeout = session.host.config(ToolsSettings).timeout
    label = f"Running {one_line(command, 40)}"
    shell = shutil.which("bash") or "/bin/sh"
    async with aclosing(run_process([shell, "-c", command], reached.path, command_environment(), timeout)) as news:
        async for each in news:
            if isinstance(each, Ended):
                yield told(command, each)
            else:
                yield Progress(label, each, timeout, "s")


def told(name: str, ended: Ended) -> Data:
    """How a program ended, for the model and to look at."""
    output = visible(ended.output) or "(it printed nothing)"
    how = f"stopped: {ended.why}" if ended.why else _how(ended.code)
    value = {"command": name, "code": ended.code, "stopped": ended.why, "seconds": round(ended.seconds, 2)}
    return Data("tools.ran", {**value, "output": ended.output}, f"{output}\n({how})")


def _how(code: int) -> str:
    """What an exit code says."""
    if code >= 0:
        return f"exit code {code}"
    known = {each.value: each.name for each in signal.Signals}
    return f"ended by the signal {known.get(-code, -code)}"
