"""What `plugin install` refuses before anything is touched: what would break what is here, and what is no package."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from chatapp import commands
from chatapp.authoring import pip
from chatapp.authoring.installing import Change, broken_by, changes_in, words_for
from chatapp.errors import OfflineError, UsageError
from chatapp.messages import Data
from chatapp.session import Session
from chatapp.testing import make_host
from tests.support_pip import living_in, make_environment, serve, wheel
from tests.support_plugins import run, running


def installed(folder: Path, name: str, version: str, *needs: str) -> None:
    """A distribution in `folder` that requires these."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {need}" for need in needs),
    ]
    (info / "METADATA").write_text("\n".join(lines) + "\n")


async def test_what_would_break_what_is_here_is_shown_and_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(tmp_path / "wheels", monkeypatch)
    env = make_environment(tmp_path / "env")
    wheel(tmp_path / "wheels", needs="tomlkit>=99")
    wheel(tmp_path / "wheels", "tomlkit", "99", plugin="")
    shown: list[Any] = []

    async def install(session: Session) -> None:
        async for event in session.run("/plugin install greeter --yes"):
            shown.extend([event.value] if isinstance(event, Data) else [])

    with living_in(env, monkeypatch):
        async with running(tmp_path, chatapp=commands) as session:
            with pytest.raises(UsageError) as refused:
                await install(session)
    assert [row["package"] for row in shown[0]] == ["greeter", "tomlkit"]
    assert re.fullmatch(
        r"Nothing was installed, as it would break what is here: "
        r"chatapp needs tomlkit<1,>=0\.13, and tomlkit would become 99\.",
        str(refused.value),
    )
    assert env.installed == set()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with installed distributions."""
    site = tmp_path / "site"
    installed(site, "lib", "1.5")
    installed(site, "other_lib", "2")
    installed(site, "neighbour", "1", "Lib<2", "other-lib; extra == 'more'", "nowhere>=3")
    monkeypatch.syspath_prepend(str(site))
    return site


@pytest.mark.parametrize(
    ("changes", "clauses"),
    [
        ([("lib", "1.5", "1.9")], []),
        ([("lib", "1.5", "2.0")], ["neighbour needs Lib<2, and Lib would become 2.0"]),
        ([("lib", "1.5", "2.0rc1")], ["neighbour needs Lib<2, and Lib would become 2.0rc1"]),
        # With a neighbour that takes it.
        ([("lib", "1.5", "2.0"), ("neighbour", "1", "2")], []),
        # What is new breaks nothing, and what was broken before is not the fault of this.
        ([("nowhere", "", "1")], []),
        ([("lib", "7", "8")], []),
        # An extra of somebody else's that nobody asked for.
        ([("other-lib", "2", "3")], []),
        ([("chatapp", "0.1.0", "9")], ["chatapp itself would become 9"]),
        ([("pluggy", "1.6.0", "2.0")], ["chatapp needs pluggy<2,>=1.6, and pluggy would become 2.0"]),
        # Of ours, extras count.
        ([("lancedb", "0.40", "1.0")], ["chatapp needs lancedb<1,>=0.40, and lancedb would become 1.0"]),
    ],
)
def test_what_a_change_breaks(here: Path, changes: list[tuple[str, str, str]], clauses: list[str]) -> None:
    ours = [
        each for each in broken_by(Change(*change) for change in changes) if each.startswith(("chatapp", "neighbour"))
    ]
    assert ours == clauses


def test_what_pip_reports(here: Path) -> None:
    report = {"install": [{"metadata": {"name": name, "version": "3"}} for name in ("Other.Lib", "Fresh_One")]}
    assert changes_in(report) == [Change("fresh-one", "", "3"), Change("other-lib", "2", "3")]


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("./nowhere", r"There is no \./nowhere; give the name of a package"),
        ("./plugin.py", r"\./plugin\.py is a single file: copy it to .*config.plugins, which is all it takes"),
        ("./folder", r"\./folder is no package: it has no pyproject\.toml"),
        ("--index-url=x", "'--index-url=x' is neither the name of a package nor a path"),
        ("two words", "'two words' is neither the name of a package nor a path"),
        ("https://example.org/x.whl", r"There is no https://example\.org/x\.whl"),
        ("ChatApp", "chatapp is what you are using"),
        ("chatapp[rag]>=0", "chatapp is what you are using"),
    ],
)
def test_what_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, sentence: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "plugin.py").write_text("")
    with pytest.raises(UsageError, match=sentence):
        words_for(make_host(tmp_path), [what])


async def test_nothing_is_named(tmp_path: Path) -> None:
    async with running(tmp_path, chatapp=commands) as session:
        with pytest.raises(UsageError, match="Say what to install"):
            await run(session, "/plugin install")


def test_what_pip_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "greeter-1-py3-none-any.whl"
    path.write_bytes(b"")
    online, offline = make_host(tmp_path / "on"), make_host(tmp_path / "off", offline=True)
    assert words_for(online, ["greeter>=1", path.name]) == ["greeter>=1", str(path)]
    assert words_for(online, ["./" + path.name], editable=True, upgrade=True) == ["--upgrade", "--editable", str(path)]
    assert words_for(offline, [path.name]) == ["--no-index", "--no-build-isolation", str(path)]
    with pytest.raises(OfflineError, match="To install greeter the network is needed, and --offline forbids it"):
        words_for(offline, ["greeter"])
    with pytest.raises(UsageError, match=r"for one here, write \./greeter\."):
        words_for(online, ["greeter"], editable=True)


@pytest.mark.parametrize(
    ("prefix", "settings", "advice"),
    [
        ("env", "home = /usr\n", "`{python} -m ensurepip`"),
        ("env", "home = /usr\nuv = 0.9.1\n", "`uv pip install --python {python} greeter`"),
        ("pipx/venvs/chatapp", "home = /usr\n", "`pipx inject chatapp greeter`"),
    ],
)
async def test_an_environment_without_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str, settings: str, advice: str
) -> None:
    (tmp_path / prefix).mkdir(parents=True)
    (tmp_path / prefix / "pyvenv.cfg").write_text(settings)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / prefix))
    monkeypatch.setattr(pip, "find_spec", lambda name: None)
    async with running(tmp_path / "home", chatapp=commands) as session:
        with pytest.raises(UsageError) as refused:
            await run(session, "/plugin install greeter")
    assert str(refused.value) == f"This Python has no pip; run {advice.format(python=sys.executable)} in a shell."
