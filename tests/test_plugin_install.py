"""`plugin install` and `remove`: real pip in an environment of its own. What is refused: test_plugin_refused."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from pathlib import Path

import pytest

import chatapp_example
from chatapp import commands
from chatapp.authoring.installing import Change, take_up
from chatapp.authoring.new import Facts, make_package
from chatapp.errors import ChatappError, UsageError
from chatapp.events import Progress
from chatapp.messages import Data, Text
from chatapp.session import Session
from chatapp.testing import RecordingUI, make_host
from tests.support_pip import GREETS, Environment, living_in, make_environment, serve, wheel
from tests.support_plugins import run, told, write_settings


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """An environment, and the folder `wheels` as the only index."""
    serve(tmp_path / "wheels", monkeypatch)
    return make_environment(tmp_path / "env")


@pytest.fixture
async def session(env: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Session]:
    """A session that lives there, with our commands and the example."""
    write_settings(tmp_path, "[greet]\nkept = true\n")
    with living_in(env, monkeypatch):
        host = make_host(tmp_path)
        host.add("chatapp", commands)
        host.add("example", chatapp_example)
        await host.startup()
        try:
            yield Session(host)
        finally:
            await host.shutdown()


def ui_of(session: Session) -> RecordingUI:
    """What is asked and answered."""
    assert isinstance(session.ui, RecordingUI)
    return session.ui


async def said(session: Session, line: str) -> list[str]:
    """What a command says, its progress left out."""
    return [event.text for event in await run(session, line) if isinstance(event, Text | Data)]


async def test_it_is_there_at_once_and_goes_again(session: Session, env: Environment, tmp_path: Path) -> None:
    path = wheel(tmp_path / "wheels")
    ui_of(session).answers += [True, True]
    events = await run(session, f"/plugin install {path}")
    assert [event for event in events if isinstance(event, Data)] == [
        Data("changes", [{"package": "greeter", "now": "", "then": "1"}], "PACKAGE  NOW  THEN\ngreeter       1")
    ]
    assert events[-1] == Text("greet is on and brings /greet.")
    assert any(isinstance(event, Progress) and "greeter" in event.label for event in events)
    assert await said(session, "/greet") == ["Hello from 1"]
    assert (session.host.plugins["greet"].version, env.installed) == ("1", {"greeter-1"})
    last = (await said(session, "/plugin remove greet"))[-1]
    assert last == f"greeter 1 is removed; its settings stay in {session.host.settings.path}."
    assert ui_of(session).questions == ["Install this?", "Remove greeter 1, and with it greet?"]
    assert (env.installed, "greet" in session.host.plugins, "greet" in session.host.actions) == (set(), False, False)
    assert session.host.settings.path.read_text() == "[greet]\nkept = true\n"


async def test_nothing_happens_without_a_yes(session: Session, env: Environment, tmp_path: Path) -> None:
    path = wheel(tmp_path / "wheels")
    assert (await said(session, f"/plugin install {path}"))[-1].startswith("Nothing was installed")
    assert env.installed == set()
    await run(session, f"/plugin install {path} --yes")
    assert (await said(session, "/plugin remove greet"))[-1].startswith("Nothing was removed")
    assert env.installed == {"greeter-1"}
    assert await said(session, "/greet") == ["Hello from 1"]
    assert ui_of(session).questions == ["Install this?", "Remove greeter 1, and with it greet?"]


async def test_a_newer_version_takes_its_place_if_it_can_be_used(session: Session, tmp_path: Path) -> None:
    wheel(tmp_path / "wheels", version="1")
    await run(session, "/plugin install greeter --yes")
    assert await said(session, "/greet") == ["Hello from 1"]
    wheel(tmp_path / "wheels", version="2")
    same = "All of that is installed already; --upgrade takes a newer version where there is one."
    assert await said(session, "/plugin install greeter --yes") == [same]
    await run(session, "/plugin install greeter --upgrade --yes")
    assert (await said(session, "/greet"), session.host.plugins["greet"].version) == (["Hello from 2"], "2")
    wheel(tmp_path / "wheels", version="3", code="1 / 0")
    error = "The new version is not used: ZeroDivisionError: division by zero (greeter.py, line 1)"
    last = (await said(session, "/plugin install greeter --upgrade --yes"))[-1]
    assert last == f"greet is installed, but it cannot be used: {error}"
    assert await said(session, "/greet") == ["Hello from 2"]


async def test_what_is_off_stays_off(session: Session, tmp_path: Path) -> None:
    wheel(tmp_path / "wheels")
    session.host.set_config("plugins", "disabled", ["gone", "greet"])
    off = "greet is installed, and switched off; `plugin enable greet` switches it on."
    assert (await said(session, "/plugin install greeter --yes"))[-1] == off
    wheel(tmp_path / "wheels", version="2")
    assert (await said(session, "/plugin install greeter --yes --upgrade"))[-1] == off
    assert "greet" not in session.host.actions
    assert await said(session, "/plugin enable greet") == ["greet is on."]
    assert await said(session, "/greet") == ["Hello from 2"]
    # The name of one that is not here now stays.
    assert session.host.settings.path.read_text() == '[greet]\nkept = true\n\n[plugins]\ndisabled = ["gone"]\n'


async def test_packages_that_cannot_be_used(session: Session, tmp_path: Path) -> None:
    broken = wheel(tmp_path / "wheels", "broken", code="import no_such_one", plugin="broken")
    thief = wheel(tmp_path / "wheels", "thief", plugin="example")
    error = "it needs the Python package 'no_such_one' (broken.py, line 1)"
    *_, first, second = await said(session, f"/plugin install {broken} {thief} --yes")
    assert {first, second} == {
        f"broken is installed, but it cannot be used: {error}",
        "The plugin 'example' from thief is not loaded: chatapp_example has that name.",
    }
    assert (session.host.plugins["broken"].state, session.host.plugins["broken"].error) == ("failed", error)
    assert session.host.actions["dice"].owner == "example"


async def test_a_package_that_is_no_plugin(session: Session) -> None:
    assert await take_up(session.host, [Change("click", "", "8")]) == [
        "It is installed, but no plugin came with it: none of it has an entry point in the group `chatapp`."
    ]


async def test_a_folder_where_it_lies(
    session: Session, env: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_package(tmp_path / "chatapp-kind", Facts("kind", "Is kind."))
    monkeypatch.chdir(tmp_path)
    session.host.settings.core.offline = True
    last = (await said(session, "/plugin install --editable ./chatapp-kind --yes"))[-1]
    assert last == "kind is on and brings /kind."
    assert await said(session, "/kind Ada") == ["Hello, Ada."]
    module = session.host.plugins["kind"].module
    assert Path(module.__file__) == tmp_path / "chatapp-kind" / "chatapp_kind" / "__init__.py"
    await run(session, "/plugin remove chatapp-kind --yes")
    assert (env.installed, Path(module.__file__).exists(), "kind" in session.host.plugins) == (set(), True, False)


BACKEND = """
import os, pathlib, time

def prepare_metadata_for_build_wheel(folder, settings=None):
    pathlib.Path("pid").write_text(str(os.getpid()))
    time.sleep(120)
"""


def alive(pid: int) -> bool:
    """Whether a process runs."""
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


async def test_stopping_it_ends_pip_and_what_pip_started(session: Session, env: Environment, tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.mkdir()
    (slow / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "slow"\nbackend-path = ["."]\n'
    )
    (slow / "slow.py").write_text(BACKEND)
    said: list[str] = []

    async def install() -> None:
        async with aclosing(session.run(f"/plugin install {slow} --yes")) as events:
            said.extend([event.label async for event in events if isinstance(event, Progress)])

    task = asyncio.create_task(install())
    # pip copies nothing: it builds where the folder lies.
    async with asyncio.timeout(60):
        while not (slow / "pid").exists() or not (slow / "pid").read_text():  # noqa: ASYNC110 (another process's file)
            await asyncio.sleep(0.05)
    pid = int((slow / "pid").read_text())
    assert alive(pid)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(60):
        while alive(pid):  # noqa: ASYNC110 (init reaps it)
            await asyncio.sleep(0.05)
    assert env.installed == set()


async def test_what_pip_says_when_it_fails(session: Session, env: Environment, tmp_path: Path) -> None:
    with pytest.raises(ChatappError, match=r"pip could not install this: No matching distribution found for nosuch"):
        await run(session, "/plugin install nosuch --yes")
    damaged = tmp_path / "wheels" / "damaged-1-py3-none-any.whl"
    damaged.parent.mkdir()
    damaged.write_bytes(b"no archive")
    with pytest.raises(ChatappError, match=r"pip could not install this: .*damaged"):
        await run(session, f"/plugin install {damaged} --yes")
    assert (env.installed, told(session.host)) == (set(), "")


async def test_a_removal_that_fails_leaves_the_plugin_running(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run(session, f"/plugin install {wheel(tmp_path / 'wheels')} --yes")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ChatappError, match="pip could not uninstall this: no reason given"):
        await run(session, "/plugin remove greet --yes")
    assert await said(session, "/greet") == ["Hello from 1"]


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("example", "example is a part of the application and cannot be removed"),
        ("chatapp", "chatapp is a part of the application and cannot be removed"),
        ("mine", r"mine is a file of yours: delete .*mine\.py to remove it"),
        ("pytest", "There is no plugin 'pytest' to remove"),
    ],
)
async def test_what_is_not_removed(session: Session, tmp_path: Path, name: str, sentence: str) -> None:
    folder = tmp_path / "config" / "plugins"
    folder.mkdir()
    (folder / "mine.py").write_text(GREETS)
    session.host.load()
    with pytest.raises(UsageError, match=sentence):
        await run(session, f"/plugin remove {name} --yes")


def test_in_the_shell(env: Environment, tmp_path: Path) -> None:
    path = wheel(tmp_path / "wheels")
    ran = env.chatapp(tmp_path, "--offline", "plugin", "install", path)
    assert (ran.code, env.installed) == (0, set())
    assert ran.out.splitlines()[-1] == "Nothing was installed; --yes installs without asking."
    ran = env.chatapp(tmp_path, "--offline", "plugin", "install", path, "--yes")
    assert (ran.code, ran.out.splitlines()[-1], ran.err) == (0, "greet is on and brings /greet.", "")
    assert env.chatapp(tmp_path, "greet").out == "Hello from 1\n"
    ran = env.chatapp(tmp_path, "plugin", "remove", "llama", "--yes")
    assert ran.code == 2
    assert ran.err == "Error: llama came with the application; `plugin disable llama` switches it off.\n"
