"""Each bundled plugin can be deleted: a wheel built without it installs, and knows nothing of it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support_plugins import ROOT, bundled

BUILD = "from hatchling.build import build_wheel; build_wheel('wheel')"
NOTHING = "nothing removed"
LARGE = 1_000_000
"""Bytes from which a file is one of weights."""
CHILD = """
import asyncio, sys
from importlib import metadata
sys.argv[0] = "chatapp"
from chatapp.cli import run

def answer():
    from pathlib import Path
    from chatapp import Session, TextDelta, commands, paths
    from chatapp.testing import make_host, script

    async def turn():
        host = make_host(Path(sys.argv[2]))
        host.add("chatapp", commands)
        host.load()
        assert host.problems == [], host.problems
        assert [each.name for each in host.plugins.values() if each.state == "failed"] == []
        await host.startup()
        session = Session(host)
        script(session).says("An answer of four words.")
        async for event in session.send("Hello"):
            if isinstance(event, TextDelta):
                sys.stdout.write(event.text)
        await host.shutdown()

    asyncio.run(turn())
    sys.stdout.write("\\n" + chatapp.__file__ + "\\n")

import chatapp
if sys.argv[1] == "answer":
    answer()
else:
    for line in sys.argv[1:]:
        assert run(line.split()) == 0, line
        sys.stdout.write("\\x1e")
"""
"""Runs command lines, each shown with a record separator behind it, or a turn, with the installed copy."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A wheel unpacked into `folder`; processes started here see it and not this checkout."""

    folder: Path
    home: Path

    def run(self, *words: str) -> str:
        """What a child prints that is given these words."""
        # -S leaves out the site folder, and with it the editable install; the libraries are added by hand below.
        libraries = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
        environ = {**os.environ, "CHATAPP_HOME": str(self.home), "PYTHONPATH": str(self.folder), "COLUMNS": "200"}
        code = f"import sys; sys.path += {libraries!r}\n{CHILD}"
        done = subprocess.run(
            [sys.executable, "-P", "-S", "-c", code, *words],
            cwd=self.home,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def copy_small(source: str, target: str) -> None:
    """Copy a file; of weights only the beginning, which is packed in a moment and is nothing that is looked at here."""
    if Path(source).stat().st_size < LARGE:
        shutil.copy(source, target)
    else:
        with Path(source).open("rb") as whole:
            Path(target).write_bytes(whole.read(1000))


def copy_without(target: Path, package: str) -> None:
    """The tree of a release, without that package and what the project file says of it."""
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc", package)
    for folder in ("chatapp", "plugins"):
        shutil.copytree(ROOT / folder, target / folder, ignore=ignore, copy_function=copy_small)
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, target / name)
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    without = re.sub(rf'^\s*"plugins/{package}",\n|^\w+ = "{package}"\n|"{package}",? ?', "", text, flags=re.MULTILINE)
    (target / "pyproject.toml").write_text(without, encoding="utf-8")


@pytest.fixture(scope="module", params=[*bundled(), NOTHING])
def removed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Installed]:
    """The name of a plugin, and an installation built without it."""
    name: str = request.param
    tree, installed, home = (tmp_path_factory.mktemp(each) for each in ("tree", "installed", "home"))
    copy_without(tree, bundled().get(name, "no_package"))
    (tree / "wheel").mkdir()
    subprocess.run([sys.executable, "-c", BUILD], cwd=tree, check=True, capture_output=True, timeout=120)
    (wheel,) = (tree / "wheel").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    return name, Installed(installed, home)


def test_the_wheel_holds_what_it_should(removed: tuple[str, Installed]) -> None:
    name, installed = removed
    packages = {path.name for path in installed.folder.iterdir() if path.is_dir() and path.suffix != ".dist-info"}
    assert packages == {"chatapp", *(package for plugin, package in bundled().items() if plugin != name)}
    for inside in ("chatapp/models/catalogue.toml", "chatapp/tui/app.tcss", "chatapp/py.typed"):
        assert (installed.folder / inside).is_file() == (ROOT / inside).is_file()
    assert (installed.folder / "chatapp/models/catalogue.toml").is_file()


def test_the_command_line_works_without_it(removed: tuple[str, Installed]) -> None:
    name, installed = removed
    lines = ("plugin list --json", "plugin list", "--help", "settings list")
    listed, *others = installed.run(*lines).split("\x1e")[:-1]
    assert len(others) == 3
    assert [plugin for plugin in bundled() if f'"name": "{plugin}"' in listed] == [
        plugin for plugin in bundled() if plugin != name
    ]
    assert '"state": "failed"' not in listed
    for shown in others:
        # The first word of each line names a plugin, a command or a setting: `example`, `example.sides`.
        first = {line.split()[0].partition(".")[0] for line in shown.splitlines() if line.strip()}
        assert len(first) > 2
        assert name not in first
        assert f"chatapp_{name}" not in shown


def test_a_turn_works_without_it(removed: tuple[str, Installed]) -> None:
    _, installed = removed
    answer, where = installed.run("answer", str(installed.home)).splitlines()
    assert answer == "An answer of four words."
    assert Path(where) == installed.folder / "chatapp" / "__init__.py"
