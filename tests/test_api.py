"""The public API, and what importing it costs."""

from __future__ import annotations

import ast
import inspect
import json
import sys
from pathlib import Path

import pytest

import chatapp
from tests import record_api
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


def test_the_api_is_the_recorded_one() -> None:
    version, before = record_api.recorded()
    now = record_api.public_api()
    changes = {"broken": record_api.breaks(before, now), "added": record_api.additions(before, now)}
    assert changes == {"broken": [], "added": []}, record_api.HOW
    assert version == chatapp.API_VERSION


BEFORE = {
    "hook context": ["turn: Turn", "-> Iterable[Block]"],
    "Host": ["paths: Paths", "-> None"],
    "Host.config": ["self", "-> Model"],
    "Engine": ["protocol"],
    "Engine.close": ["self", "-> None"],
}


@pytest.mark.parametrize(
    ("change", "version"),
    [
        ({}, "1.4"),
        ({"Panel": ["title: str", "-> None"]}, "1.5"),
        ({"Host.stop": ["self", "-> None"]}, "1.5"),
        ({"Host": ["paths: Paths", "ui: UI | None = None", "-> None"]}, "1.5"),
        ({"Host": ["paths: Paths", "ui: UI", "-> None"]}, "2.0"),
        ({"Host": ["folders: Paths", "-> None"]}, "2.0"),
        ({"Host.config": ["self", "-> object"]}, "2.0"),
        ({"Host.config": None}, "2.0"),
        ({"hook context": ["turn: Turn", "session: Session", "-> Iterable[Block]"]}, "1.5"),
        ({"hook context": ["session: Session", "-> Iterable[Block]"]}, "2.0"),
        ({"hook finished": ["turn: Turn", "-> None"]}, "1.5"),
        ({"Engine.stop": ["self", "-> None"]}, "2.0"),
        ({"Engine.close": ["self", "now: bool = True", "-> None"]}, "2.0"),
        ({"Reader": ["protocol"], "Reader.read": ["self", "-> Source"]}, "1.5"),
    ],
    ids=str,
)
def test_what_a_change_makes_of_the_version(change: dict[str, list[str] | None], version: str) -> None:
    now = {name: parts for name, parts in {**BEFORE, **change}.items() if parts is not None}
    assert record_api.due("1.4", BEFORE, now) == version


def test_what_breaks_is_not_recorded_without_its_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_api, "FILE", tmp_path / "api.json")
    assert record_api.main([]) == 0
    kept = record_api.FILE.read_text(encoding="utf-8")
    record_api.FILE.write_text(kept.replace('"Host.config": ', '"Host.configure": '), encoding="utf-8")
    assert record_api.main([]) == 1
    assert record_api.FILE.read_text(encoding="utf-8") != kept
    assert record_api.main(["--unreleased"]) == 0
    assert record_api.FILE.read_text(encoding="utf-8") == kept


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
        command("plugin", "list"),
        command("models", "list"),
        command("ask", "--model", "echo", "Hello"),
        TURN,
        *(f"import {package}" for package in bundled().values()),
    ],
    ids=["plugin list", "models list", "ask", "a turn", *bundled()],
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
