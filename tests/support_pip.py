"""What the tests of installing share: an environment of its own over ours, and wheels made by hand."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support_cli import PATIENCE, Ran, environment

GREETS = """
from chatapp import action, hookimpl

@action("greet")
async def greet(session):
    "Greet."
    return "Hello from {version}"

@hookimpl
def actions():
    return [greet]
"""


@dataclass(frozen=True, slots=True)
class Environment:
    """A virtual environment in which all of ours is there too, and can neither be replaced nor removed."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its Python."""
        return self.folder / "bin" / "python"

    @property
    def site(self) -> Path:
        """Where pip puts packages."""
        return Path(sysconfig.get_path("purelib", "venv", {"base": str(self.folder)}))

    @property
    def installed(self) -> set[str]:
        """The distributions that pip put there: ``greeter-1``."""
        return {path.name.removesuffix(".dist-info") for path in self.site.glob("*.dist-info")}

    def chatapp(self, home: Path, *words: str) -> Ran:
        """Run `chatapp WORDS…` there; nobody can be asked."""
        done = subprocess.run(
            [str(self.python), "-m", "chatapp", *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=environment(home),
            timeout=PATIENCE,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


def make_environment(folder: Path) -> Environment:
    """An environment, empty but for ours beneath it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    made = Environment(folder)
    ours = sysconfig.get_path("purelib")
    (made.site / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    return made


@contextmanager
def living_in(made: Environment, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process as if it had been started there; the packages it imports from there are forgotten afterwards."""
    monkeypatch.setattr(sys, "executable", str(made.python))
    monkeypatch.syspath_prepend(str(made.site))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(made.folder.parent)):
            del sys.modules[name]


def wheel(
    folder: Path,
    name: str = "greeter",
    version: str = "1",
    *,
    needs: str = "",
    code: str = GREETS,
    plugin: str = "greet",
) -> str:
    """A wheel of one module, with a plugin unless that is ""; its path."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *[f"Requires-Dist: {needs}"] * bool(needs),
    ]
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", code.replace("{version}", version))
        archive.writestr(f"{info}/METADATA", "\n".join(lines) + "\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        if plugin:
            archive.writestr(f"{info}/entry_points.txt", f"[chatapp]\n{plugin} = {name}\n")
        archive.writestr(f"{info}/RECORD", "")
    return str(path)


def serve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pip find packages in this folder, and nowhere else."""
    for name in [each for each in os.environ if each.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
