"""Copying: by the terminal itself (OSC 52, which works over SSH) and by what this machine has. Never raises."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

SECONDS = 2.0
"""How long a clipboard program may take; one that waits for a display that is gone would wait for ever."""


def escape_sequences(text: str, environ: Mapping[str, str]) -> str:
    """What tells the terminal to copy `text`; inside tmux or screen once more, wrapped to reach the outer terminal.

    tmux takes the plain form where ``set-clipboard`` is on and passes the wrapped one where ``allow-passthrough`` is.
    """
    code = base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")
    plain = f"\x1b]52;c;{code}\a"
    if "TMUX" in environ:
        return plain + f"\x1bPtmux;\x1b\x1b]52;c;{code}\a\x1b\\"
    if "STY" in environ:
        return f"\x1bP{plain}\x1b\\"
    return plain


def program(environ: Mapping[str, str], platform: str = sys.platform) -> Sequence[str] | None:
    """The clipboard program of this machine, None where there is none or it has no display to talk to."""
    candidates: list[tuple[bool, list[str]]] = [
        (platform == "darwin", ["pbcopy"]),
        (platform == "win32" or "WSL_DISTRO_NAME" in environ, ["clip.exe"]),
        ("WAYLAND_DISPLAY" in environ, ["wl-copy"]),
        ("DISPLAY" in environ, ["xclip", "-selection", "clipboard"]),
        ("DISPLAY" in environ, ["xsel", "--clipboard", "--input"]),
    ]
    return next((command for here, command in candidates if here and shutil.which(command[0])), None)


async def copy_locally(text: str) -> bool:
    """Hand `text` to the machine's clipboard program, off the event loop; whether that worked."""
    command = program(os.environ)
    return command is not None and await asyncio.to_thread(_run, command, text)


def _run(command: Sequence[str], text: str) -> bool:
    try:
        done = subprocess.run(
            command,
            input=text.encode("utf-8", "replace"),
            timeout=SECONDS,
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
