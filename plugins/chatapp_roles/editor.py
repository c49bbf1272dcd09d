"""Hands the terminal over to the user's own editor."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chatapp import UsageError


def edit(path: Path) -> bool:
    """Open the file in $VISUAL or $EDITOR and wait; False where there is none, or no terminal it could have.

    Nothing else goes on meanwhile: while the editor has the terminal the chat must not draw on it.
    """
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "")
    if not command or not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        return False
    with _terminal() as ours:
        if ours:
            try:
                subprocess.run([*command, str(path)], check=False)
            except OSError as error:
                raise UsageError(
                    f"The editor {command[0]!r} does not start ({error.strerror}): set EDITOR, or open {path} yourself."
                ) from error
    return ours


@contextmanager
def _terminal() -> Iterator[bool]:
    """The terminal without the chat on it; False where the chat cannot leave it."""
    if "textual" not in sys.modules:
        yield True
        return
    from textual.app import SuspendNotSupported
    from textual.widget import Widget

    try:
        app = Widget().app
    except RuntimeError:
        # Textual is there, its app is not.
        yield True
        return
    try:
        with app.suspend():
            yield True
    except SuspendNotSupported:
        yield False
