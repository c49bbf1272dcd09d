"""The public API, and what importing it costs."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from pathlib import Path

import pytest

import chatapp
from tests.support_plugins import HEAVY, ROOT, bundled, python

INIT = ast.parse((ROOT / "chatapp" / "__init__.py").read_text(encoding="utf-8"))
TURN = """
import asyncio, sys
from pathlib import Path
from chatapp import Session, TextDelta
from chatapp.testing import make_host, script

async def turn():
    host = make_host(Path("turn"))
    host.load()
    await host.startup()
    session = Session(host)
    script(session).says("An answer.")
    async for event in session.send("Hello"):
        pass
    assert session.turn.text == "An answer."
    await host.shutdown()

asyncio.run(turn())
"""


def imported(code: str, home: Path) -> set[str]:
    """The modules that a child process has imported after `code`; its other output is in front of them."""
    end = "\nimport json, sys\nsys.stdout.write('\\n' + json.dumps(sorted(sys.modules)))\n"
    modules: list[str] = json.loads(python(code + end, home).splitlines()[-1])
    return set(modules)


def command(*words: str) -> str:
    """Code that runs a command line and goes on."""
    return f"from chatapp.cli import run\nassert run({list(words)!r}) == 0"


def test_all_is_sorted_and_complete() -> None:
    assert list(chatapp.__all__) == sorted(chatapp.__all__)
    assert len(set(chatapp.__all__)) == len(chatapp.__all__)
    assert dir(chatapp) == list(chatapp.__all__)
    checked = {
        alias.asname: f"{node.module}.{alias.name}"
        for block in INIT.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert {*checked, "API_VERSION"} == set(chatapp.__all__)
    for name, place in checked.items():
        module, _, attribute = place.rpartition(".")
        assert name == attribute
        assert getattr(chatapp, name) is getattr(__import__(module, fromlist=[name]), name)


@pytest.mark.parametrize("name", chatapp.__all__)
def test_a_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(chatapp, name)
    if inspect.isclass(value) or inspect.isfunction(value):
        # A dataclass without a docstring is given its signature as one.
        assert not (inspect.getdoc(value) or f"{name}(").startswith(f"{name}(")


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'chatapp' has no attribute 'sessoin'"):
        _ = chatapp.sessoin


def test_importing_the_package_imports_next_to_nothing(tmp_path: Path) -> None:
    bare = imported("pass", tmp_path)
    more = imported("import chatapp", tmp_path) - bare
    assert {name for name in more if name.startswith("chatapp")} == {"chatapp"}
    assert {name.partition(".")[0] for name in more - {"chatapp"}} <= sys.stdlib_module_names
    assert len(more) < 20


@pytest.mark.parametrize(
    "code",
    [
        command("plugins", "list"),
        command("models", "list"),
        command("ask", "--model", "echo", "Hello"),
        TURN,
        *(f"import {package}" for package in bundled().values()),
    ],
    ids=["plugins list", "models list", "ask", "a turn", *bundled()],
)
def test_what_needs_no_screen_and_no_model_imports_neither(tmp_path: Path, code: str) -> None:
    modules = imported(code, tmp_path)
    assert {"chatapp", "sys"} <= modules
    assert modules.isdisjoint({*HEAVY, "textual", "huggingface_hub"})


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_nothing_heavy(tmp_path: Path, option: str) -> None:
    assert imported(command(option), tmp_path).isdisjoint({*HEAVY, "textual", "huggingface_hub"})


def test_the_screen_imports_no_model_library(tmp_path: Path) -> None:
    modules = imported("import chatapp.tui.app, chatapp.tui.screens.chat", tmp_path)
    assert "textual" in modules
    assert modules.isdisjoint(HEAVY)


def test_loading_every_plugin_imports_no_library_of_theirs(tmp_path: Path) -> None:
    code = """
    from chatapp.cli.launch import open_host
    host = open_host()
    assert host.problems == [], host.problems
    assert {name for name, each in host.plugins.items() if each.state == "on"} >= set(NAMES)
    """.replace("NAMES", repr(sorted(bundled())))
    modules = imported(inspect.cleandoc(code), tmp_path)
    assert set(bundled().values()) <= modules
    assert modules.isdisjoint({*HEAVY, "textual"})
