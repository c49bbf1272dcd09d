"""A picture in the system's own viewer: without waiting for it, and without a word of it on this terminal."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from chatapp import UsageError, visible

SECONDS = 1.5
"""How long a viewer's starter may take to say that it failed; the viewer itself may stay for hours."""


def viewer(environ: Mapping[str, str], platform: str = sys.platform) -> Sequence[str] | None:
    """The command that opens a file, None where there is none or it has no display to open it on."""
    display = "DISPLAY" in environ or "WAYLAND_DISPLAY" in environ
    candidates: list[tuple[bool, list[str]]] = [
        (platform == "darwin", ["open"]),
        (platform == "win32", ["explorer.exe"]),
        ("WSL_DISTRO_NAME" in environ, ["wslview"]),
        (display, ["xdg-open"]),
        (display, ["gio", "open"]),
    ]
    return next((command for here, command in candidates if here and shutil.which(command[0])), None)


async def open_file(path: Path, environ: Mapping[str, str] | None = None) -> None:
    """Show the file in the system's viewer. Raises UsageError where there is no file, no viewer or no display."""
    if not await asyncio.to_thread(path.is_file):
        raise UsageError(f"{visible(str(path))} is gone; the picture was moved or deleted.")
    command = viewer(os.environ if environ is None else environ)
    if command is None:
        raise UsageError(f"There is no viewer or no display here; the picture is {visible(str(path))}.")
    try:
        process = subprocess.Popen(  # noqa: ASYNC220 (it waits for nothing)
            [*command, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise UsageError(f"{command[0]} cannot be started: {error.strerror}; the picture is {path}.") from error
    # Whoever waits for it in the background leaves no zombie, and a daemon does not keep chatapp from ending.
    waiter = threading.Thread(target=process.wait, daemon=True)
    waiter.start()
    await asyncio.to_thread(waiter.join, SECONDS)
    # Windows' explorer returns 1 when all went well.
    if process.returncode and command[0] != "explorer.exe":
        raise UsageError(f"{command[0]} found nothing that opens pictures; the picture is {visible(str(path))}.")
