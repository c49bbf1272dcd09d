"""`plugin check`: what it finds in plugins that break the contract, and that the bundled ones keep it."""

from __future__ import annotations

import textwrap
from pathlib import Path

import psutil
import pytest

from chatapp import commands
from chatapp.authoring.checking import Finding, Target, check, targets_of
from chatapp.cli import run as run_command
from chatapp.errors import PluginError, UsageError
from chatapp.messages import Data
from chatapp.session import Session
from chatapp.testing import make_host
from tests.support_models import until
from tests.support_plugins import bundled, run, running, write_plugin

CLEAN = '''
from typing import Annotated
from chatapp import Block, Data, action, hookimpl

@action("shout", tool=True)
async def shout(session, text: Annotated[str, "What to shout"]) -> Data:
    """Say it loudly."""
    return Data("clean.shout", text.upper(), text.upper())

@hookimpl
def settings():
    from pydantic import BaseModel, Field
    class Table(BaseModel):
        loud: bool = Field(True, description="Whether to shout.")
    return Table

@hookimpl
def actions():
    return [shout]

@hookimpl
async def context(turn):
    yield Block(f"Turn {len(turn.session.conversation)}", stability="turn")
    yield Block("Shout.", stability="static")

@hookimpl
async def transform_stream(stream):
    async for event in stream:
        yield event
'''
HOOK = "from chatapp import Block, Data, action, hookimpl\nimport asyncio, time\n\n@hookimpl\n"
BAD = {
    "syntax": ("x = (", "import", "It cannot be used: SyntaxError: '(' was never closed (syntax.py, line 1)"),
    "leaves": ("import os\nos._exit(3)", "import", "It ended the process (exit code 3)."),
    "misspelt": (f"{HOOK}def contxt(): ...", "hooks", "there is no hook 'contxt'; did you mean 'context'?"),
    "newer": (f"chatapp_api = '9.0'\n{HOOK}def context(): return []", "api", "it is for version 9.0 of the API"),
    "large": (f"import decimal\nimport textual\n{HOOK}def context(): return []", "heavy", "imports textual"),
    "thread": (
        f"import threading\nthreading.Thread(target=print).start()\n{HOOK}def context(): return []",
        "side-effects",
        "It starts a thread when it is imported.",
    ),
    "child": (
        f"import subprocess\nsubprocess.run(['true'])\n{HOOK}def context(): return []",
        "side-effects",
        "It starts a child process when it is imported.",
    ),
    "network": (
        "import socket\ntry:\n    socket.create_connection(('127.0.0.1', 9), 1)\nexcept OSError:\n    pass\n"
        f"{HOOK}def context(): return []",
        "side-effects",
        "It connects to another computer when it is imported.",
    ),
    "silent": (
        f"{HOOK}def settings():\n    from pydantic import BaseModel\n    class Table(BaseModel):\n"
        "        a: int = 1\n    return Table",
        "settings",
        "The setting 'a' has no description.",
    ),
    "required": (
        f"{HOOK}def settings():\n    from pydantic import BaseModel\n    class Table(BaseModel):\n        a: int\n"
        "    return Table",
        "settings",
        "the setting 'a' has no default.",
    ),
    "untold": (
        "from chatapp import action, hookimpl\n@action('Odd_Name')\nasync def odd(session, what: dict = None):\n"
        "    'It.'\n\n@hookimpl\ndef actions(): return [odd]",
        "actions",
        "The action 'Odd_Name' does not say what 'what' is.",
    ),
    "taken": (
        "from chatapp import action, hookimpl\n@action('help')\nasync def odd(session):\n    'It.'\n\n"
        "@hookimpl\ndef actions(): return [odd]",
        "actions",
        "The action 'help' of the plugin 'taken' is refused",
    ),
    "raises": (f"{HOOK}def turn_finished(turn): 1 / 0", "turn", "ZeroDivisionError: division by zero"),
    "sleeps": (f"{HOOK}def context(): time.sleep(0.12); return []", "blocking", "context() held the chat for 1"),
    "waits": (f"{HOOK}async def startup(): time.sleep(0)", "blocking", "time.sleep() holds the chat"),
    "changes": (
        f"count = []\n{HOOK}def context(turn):\n    count.append(1)\n"
        "    yield Block(f'No {len(count)}', title='Count')",
        "prompt",
        "The prompt of turn 2 does not begin with that of turn 1: 'Count' changed.",
    ),
    "moment": (
        f"from datetime import datetime\n{HOOK}def context(turn):\n    yield Block(f'{{datetime.now():%Y}}')",
        "prompt",
        "datetime.datetime.now() in a block that does not change by turn",
    ),
    "deaf": (
        f"{HOOK}async def context(turn):\n    try:\n        await asyncio.sleep(0.01)\n"
        "    except asyncio.CancelledError:\n        return []",
        "cancel",
        "context() ignores that its turn is stopped.",
    ),
    "clings": (
        f"{HOOK}async def transform_stream(stream):\n    async for event in stream:\n        try:\n"
        "            yield event\n        except BaseException:\n            yield event",
        "turn",
        "RuntimeError: async generator ignored GeneratorExit",
    ),
    "catches": (
        f"{HOOK}async def startup():\n    try:\n        await asyncio.sleep(0)\n"
        "    except BaseException:\n        pass",
        "cancel",
        "startup() catches BaseException and goes on",
    ),
    "rewrites": (
        f"from dataclasses import replace\nfrom chatapp import user\n{HOOK}def prepare_request(request):\n"
        "    first = replace(request.messages[0], context=str(time.monotonic()))\n"
        "    return replace(request, messages=(first, *request.messages[1:]))",
        "prompt",
        "what it makes of the request changed",
    ),
    "screen": (
        f"{HOOK}def context():\n    import textual\n    return []",
        "plain",
        "It imports Textual where there is",
    ),
    "nameless": (f"{HOOK}def turn_finished(turn): Data('nameless.x', 1)", "plain", "This Data has no text"),
}
"""Plugins with one thing wrong each: source, rule, what is said."""


async def found_in(targets: list[Target]) -> dict[str, list[Finding]]:
    """What the check says of each."""
    return {target.name: findings async for target, findings in check(targets)}


@pytest.fixture(scope="module")
async def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Finding]]:
    """What is found in all plugins of BAD, and in a clean one."""
    folder = tmp_path_factory.mktemp("bad")
    sources = {**{name: source for name, (source, *_) in BAD.items()}, "clean": CLEAN}
    for name, source in sources.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(source), encoding="utf-8")
    return await found_in([Target(name, file=str(folder / f"{name}.py")) for name in sources])


@pytest.mark.parametrize("name", BAD)
async def test_what_is_wrong_is_found(findings: dict[str, list[Finding]], name: str) -> None:
    _, rule, what = BAD[name]
    matching = [each for each in findings[name] if each.rule == rule and what in each.what]
    assert len(matching) == 1, findings[name]
    assert matching[0].where.rpartition(":")[0].endswith(f"{name}.py") or rule == "import"


async def test_a_clean_plugin_has_no_findings(findings: dict[str, list[Finding]]) -> None:
    assert findings["clean"] == []


def package(folder: Path, *, readme: str, project: str) -> Path:
    """A project with a plugin that does nothing."""
    (folder / "src" / "outside").mkdir(parents=True)
    (folder / "src" / "outside" / "__init__.py").write_text(f"{HOOK}def turn_finished(): ...")
    (folder / "README.md").write_text(readme)
    entry = '[project.entry-points.chatapp]\noutside = "outside"\n'
    (folder / "pyproject.toml").write_text(f'[project]\nname = "outside"\nversion = "1"\n{project}\n{entry}')
    return folder


async def test_a_project_that_lacks_what_a_package_needs(tmp_path: Path) -> None:
    project = 'dependencies = ["tomlkit==0.13.0"]'
    (target,) = targets_of(make_host(tmp_path / "home"), str(package(tmp_path / "it", readme="", project=project)))
    found = (await found_in([target]))["outside"]
    assert [(each.level, each.rule) for each in found] == [("error", "package"), *[("warning", "package")] * 3]
    assert {each.where.rpartition("/")[2] for each in found} == {"pyproject.toml:1"}
    assert [each.what for each in found] == [
        "It has no README that says what it does.",
        "It does not say which Python it needs.",
        "It does not require chatapp.",
        "It requires one exact version: tomlkit==0.13.0. No other plugin can then need a newer one.",
    ]


async def test_a_project_with_all_of_it(tmp_path: Path) -> None:
    project = 'readme = "README.md"\nrequires-python = ">=3.11"\ndependencies = ["chatapp>=0.1"]'
    folder = package(tmp_path / "it", readme="It does nothing. " * 10, project=project)
    (target,) = targets_of(make_host(tmp_path / "home"), str(folder))
    assert target == Target("outside", "outside", path=str(folder / "src"), project=str(folder))
    assert await found_in([target]) == {"outside": []}


async def test_the_bundled_plugins_keep_the_contract(tmp_path: Path) -> None:
    host = make_host(tmp_path)
    host.load()
    targets = [target for target in targets_of(host, "") if target.bundled]
    assert {target.name for target in targets} == set(bundled())
    found = await found_in(targets)
    # Times, which are warnings, depend on what else this machine does.
    timed = [("warning", "import-time"), ("warning", "blocking")]
    assert [each for name in found for each in found[name] if (each.level, each.rule) not in timed] == []


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("exampel", "There is no plugin and no file 'exampel'. Did you mean example?"),
        ("empty", "empty is no plugin: name a .py file, a package, or a folder with a pyproject.toml."),
        ("chatapp", "'chatapp' is part of chatapp itself: there is nothing to check."),
        ("other", "names no plugin: write [project.entry-points.chatapp]"),
        ("torn", "pyproject.toml cannot be read, mend it: "),
    ],
)
def test_what_cannot_be_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, error: str) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("other", "[project]"), ("torn", "[project")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text(text)
    (tmp_path / "empty").mkdir()
    host = make_host(tmp_path / "home")
    host.add("chatapp", commands)
    host.load()
    with pytest.raises(UsageError) as refused:
        targets_of(host, what)
    assert error in str(refused.value)


async def shown_by(session: Session, line: str, shown: list[object]) -> None:
    """Keep what a slash line shows, also of one that fails in the end."""
    async for event in session.run(line):
        shown.append(event)


async def test_the_command_shows_what_to_change_and_fails(tmp_path: Path) -> None:
    path = write_plugin(tmp_path, "misspelt", BAD["misspelt"][0])
    async with running(tmp_path / "home", chatapp=commands) as session:
        shown: list[object] = []
        with pytest.raises(PluginError, match=r"There is 1 error to mend\."):
            await shown_by(session, f"/plugin check {path}", shown)
        (part,) = [each for each in shown if isinstance(each, Data)]
        assert [each["rule"] for each in part.value["findings"]] == ["hooks"]
        assert part.text.splitlines()[0] == "misspelt: 1 error"
        path.write_text(CLEAN)
        events = await run(session, f"/plugin check {path}")
    assert isinstance(events[-1], Data)
    assert events[-1].value == {"checked": ["misspelt"], "findings": []}
    assert events[-1].text == "misspelt: keeps the contract"


def test_the_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CHATAPP_HOME", str(tmp_path / "home"))
    path = write_plugin(tmp_path, "moment", BAD["moment"][0])
    assert run_command(["plugin", "check", str(path), "--json"]) == 0
    assert '"level": "warning", "rule": "prompt"' in capsys.readouterr().out
    path.write_text(BAD["syntax"][0])
    assert run_command(["plugin", "check", str(path)]) == 1
    assert capsys.readouterr().err == "Error: There is 1 error to mend.\n"


async def test_closing_the_check_ends_its_processes(tmp_path: Path) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text(
        f"import os, pathlib, time\npathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    fine = tmp_path / "fine.py"
    fine.write_text(CLEAN)
    checked = check([Target("fine", file=str(fine)), Target("slow", file=str(slow))])
    assert (await anext(checked))[1] == []
    until((tmp_path / "pid").is_file)
    pid = int((tmp_path / "pid").read_text() or 0)
    await checked.aclose()
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
