"""The guide's three packages: installed by pip into an environment of their own, tested there, and used."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs_blocks import reader
from tests.support_cli import PATIENCE
from tests.support_pip import Environment, make_environment
from tests.support_plugins import ROOT

EXAMPLES = ROOT / "docs" / "examples"
NAMES = sorted(path.name for path in EXAMPLES.glob("chatapp-*"))
FEW = 60
"""Lines of code that such a plugin stays under."""
Outside = tuple[Environment, Path]


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Outside:
    """An environment with the packages, installed from a copy of each elsewhere, and the folder of the copies."""
    folder = tmp_path_factory.mktemp("outside")
    made = make_environment(folder / "venv")
    hidden = shutil.ignore_patterns(".*", "__pycache__", "dist")
    copies = [shutil.copytree(EXAMPLES / name, folder / name, ignore=hidden) for name in NAMES]
    run(made, folder, "-m", "pip", "install", "--quiet", *map(str, copies))
    return made, folder


def run(made: Environment, folder: Path, *words: str, stdin: str = "") -> str:
    """What Python prints there, on standard output; it must not fail."""
    environ = reader(folder / "home", made.python, ".").environ
    done = subprocess.run(
        [str(made.python), *words],
        cwd=folder,
        env=environ,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def chatapp(outside: Outside, tmp_path: Path) -> Callable[..., str]:
    """Runs chatapp in that environment, in an empty folder."""

    def call(*words: str, stdin: str = "") -> str:
        return run(outside[0], tmp_path, "-m", "chatapp", *words, stdin=stdin)

    return call


def test_there_are_three() -> None:
    assert NAMES == ["chatapp-csv", "chatapp-gitstatus", "chatapp-units"]


@pytest.mark.parametrize("name", NAMES)
def test_it_is_short(name: str) -> None:
    package = EXAMPLES / name / name.replace("-", "_")
    assert sum(len(path.read_text(encoding="utf-8").splitlines()) for path in package.rglob("*.py")) < FEW


@pytest.mark.parametrize("name", NAMES)
def test_its_own_tests_pass(outside: Outside, name: str) -> None:
    made, folder = outside
    assert " passed" in run(made, folder / name, "-m", "pytest", "-q", "-p", "no:cacheprovider")


def test_they_keep_the_contract(outside: Outside, chatapp: Callable[..., str]) -> None:
    assert outside[0].installed == {f"{name.replace('-', '_')}-0.1.0" for name in NAMES}
    for name in NAMES:
        plugin = name.removeprefix("chatapp-")
        assert chatapp("plugin", "check", plugin) == f"{plugin}: keeps the contract\n"


def test_units_in_the_shell(chatapp: Callable[..., str]) -> None:
    assert chatapp("units", "26.2", "mi", "km") == "26.2 mi = 42.1648 km\n"


def test_gitstatus_is_sent(chatapp: Callable[..., str], tmp_path: Path) -> None:
    environ = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(tmp_path)], check=True, env=environ)
    sent = chatapp("--plain", "--model", "echo", stdin="What did I change?\n/sent\n").splitlines()
    assert sent[0] == "What did I change?"
    assert any(line.startswith("Git status   gitstatus ") for line in sent)


def test_csv_in_the_shell_and_as_an_attached_file(chatapp: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("fruit,price\napple,0.40\n", encoding="utf-8")
    assert chatapp("csv", "prices.csv") == "FRUIT  PRICE\napple  0.40\n"
    asked = chatapp("ask", "--model", "echo", "--file", "prices.csv", "What is in it?")
    assert asked.strip() == "What is in it?"


@pytest.mark.parametrize("name", NAMES)
def test_its_page_tells_the_truth(outside: Outside, name: str, tmp_path: Path) -> None:
    made, folder = outside
    script = made.folder / "bin" / "chatapp"
    script.write_text(f'#!/bin/sh\nexec "{made.python}" -m chatapp "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    reader(tmp_path, made.python, "home").follow(folder / name / "README.md")
