"""An author's own project, in a folder elsewhere: a plugin, a conftest that names it, and tests that are run there."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

UNITS = '''
from __future__ import annotations

from pydantic import BaseModel, Field
from chatapp import Block, Progress, Session, UsageError, action, hookimpl

class Options(BaseModel):
    """Units."""
    digits: int = Field(1, description="Digits behind the point.")

@hookimpl
def settings():
    return Options

@action("units", tool=True, consent="free")
async def units(session: Session, km: float):
    """Kilometres in miles."""
    if km < 0:
        raise UsageError("A distance is never below zero.")
    yield Progress("Converting", 1, 1)
    session.ui.notify("converted")
    yield f"{km * 0.621371:.{session.host.config(Options).digits}f} miles"

@hookimpl
def actions():
    return [units]

@hookimpl
def context(turn):
    yield Block("Use metric units.", stability="static")
'''
"""A plugin with a setting, an action that is a tool, and a block."""
# pytest-asyncio warns where the scope is not set, which is an error in a run inside one of ours.
STRICT = "[pytest]\nasyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
AUTO = f"{STRICT}asyncio_mode = auto\n"
CONFTEST = """
import pytest
import chatapp_units

@pytest.fixture
def plugins():
    return [chatapp_units]
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What a run of an author's tests came to: how many passed, failed, …, and the report as one line."""

    outcomes: dict[str, int]
    told: str


@dataclass(frozen=True, slots=True)
class Author:
    """Somebody who writes the plugin `units` in this folder."""

    folder: Path

    def write(self, **sources: str) -> None:
        """Write Python files."""
        for name, source in sources.items():
            (self.folder / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")

    def tests(self, source: str, *options: str, ini: str = AUTO) -> Run:
        """Write a test file and run it, in this process.

        Not by pytester: it forgets what was imported meanwhile, and then there are two of each class.
        """
        self.write(test_units=source)
        (self.folder / "pytest.ini").write_text(ini, encoding="utf-8")
        temporary = str(self.folder.parent / "temporary")
        arguments = ["--rootdir", str(self.folder), "--import-mode=importlib", "-p", "no:cacheprovider", *options]
        out = io.StringIO()
        try:
            with contextlib.redirect_stdout(out):
                pytest.main([*arguments, "--basetemp", temporary, str(self.folder)])
        finally:
            for name in [name for name, module in sys.modules.items() if self._wrote(module)]:
                del sys.modules[name]
        return report(out.getvalue())

    def _wrote(self, module: ModuleType) -> bool:
        return str(getattr(module, "__file__", None) or "").startswith(str(self.folder))

    def process(self, *options: str) -> Run:
        """Run the tests that are there in a process of their own."""
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=120)
        return report(done.stdout)

    def passes(self, source: str, *options: str, count: int = 1, ini: str = AUTO) -> None:
        """All tests of this source pass; there are `count`."""
        run = self.tests(source, *options, ini=ini)
        assert run.outcomes == {"passed": count}, run.told

    def fails(self, source: str, *sentences: str, ini: str = AUTO, **outcomes: int) -> None:
        """The tests come to these outcomes (one failed, where none are given), and the report has these sentences."""
        run = self.tests(source, ini=ini)
        assert run.outcomes == (outcomes or {"failed": 1}), run.told
        assert [sentence for sentence in sentences if sentence not in run.told] == [], run.told


def report(text: str) -> Run:
    """A report read: its last line counts, and the marks before the lines of an error are left out."""
    *lines, last = text.rstrip().splitlines()
    counted = {
        noun.rstrip("s"): int(count) for count, noun in re.findall(r"(\d+) (passed|failed|errors?|skipped)", last)
    }
    return Run(counted, re.sub(r"\s+", " ", "\n".join(line.removeprefix("E  ") for line in lines)))


def project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Author:
    """The author's project, without tests yet."""
    author = Author(folder / "project")
    author.folder.mkdir()
    author.write(chatapp_units=UNITS, conftest=CONFTEST)
    monkeypatch.syspath_prepend(author.folder)
    monkeypatch.chdir(author.folder)
    # A test file written anew within the second, of the same length, would be taken for the one compiled before.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return author
