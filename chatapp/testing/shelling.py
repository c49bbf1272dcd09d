"""Command lines as the shell runs them, in this process, with the plugins under test alone."""

from __future__ import annotations

import shlex
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from chatapp.host import Host
from chatapp.testing.making import Maker
from chatapp.ui import UI, PlainUI


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command line came to: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True)
class Shell:
    """Runs what would stand after `chatapp` in a shell."""

    maker: Maker

    def __call__(self, line: str, *, stdin: str = "") -> Ran:
        """Run one command line with `stdin` piped in: ``shell("units '3 km'")``, ``shell("ask Hi")``."""
        # A command has an event loop of its own, which a thread that runs a test's loop cannot begin.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(self._run, line, stdin).result()

    def _run(self, line: str, stdin: str) -> Ran:
        from click.testing import CliRunner

        from chatapp.cli import run

        with pytest.MonkeyPatch.context() as patch, CliRunner().isolation(stdin) as (out, err, _):
            patch.setattr("chatapp.cli.launch.open_host", self._open)
            code = run(shlex.split(line))
            sys.stdout.flush()
            sys.stderr.flush()
            return Ran(code, out.getvalue().decode(), err.getvalue().decode())

    def _open(self, ui: UI | None = None, *, offline: bool = False, model: str | None = None, **_: Any) -> Host:
        """In place of the host with all that is installed."""
        settings: dict[str, Any] = {"offline": True} if offline else {}
        if model:
            settings |= {"model": model, "engine": ""}
        return self.maker.host(ui if ui is not None else PlainUI(), own=True, **settings)
