"""Tell the model the git status of the folder you work in."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterable
from pathlib import Path

from chatapp import Action, Block, Session, Turn, action, hookimpl

# Looking must not take git's lock, nor start the file monitor that a folder's own configuration names.
COMMAND = ("git", "--no-optional-locks", "-c", "core.fsmonitor=false", "status", "--short", "--branch")
MOST = 40
"""Lines of the status that the model reads."""


async def status() -> str:
    """What git says of the current folder; empty where there is no repository, or no git."""
    try:
        git = await asyncio.create_subprocess_exec(*COMMAND, cwd=Path.cwd(), stdout=PIPE, stderr=DEVNULL)
    except FileNotFoundError:
        return ""
    try:
        printed, _ = await git.communicate()
    finally:
        if git.returncode is None:
            git.kill()
            await git.wait()
    lines = printed.decode("utf-8", "replace").splitlines()
    return "\n".join([*lines[:MOST], *[f"and {len(lines) - MOST} more"] * (len(lines) > MOST)])


@hookimpl
async def context(turn: Turn) -> Iterable[Block]:
    """The status, beside the message: it may have changed since the last one."""
    text = await status()
    return [Block(f"git status of this folder:\n{text}", title="Git status", stability="turn")] if text else []


@action("gitstatus")
async def gitstatus(session: Session) -> str:
    """Show what the model is told of this folder's git repository."""
    return await status() or "There is no git repository here."


@hookimpl
def actions() -> Iterable[Action]:
    """Declare the command."""
    return [gitstatus]
