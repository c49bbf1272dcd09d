"""git as a command: a repository's own settings, hooks and submodules run nothing that was not asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from chatapp.session import Session
from chatapp_tools.repositories import OVERRIDES, command_environment, objection, with_overrides
from tests.plugins.tools_support import asked, call, told, tools, ui

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
SETTINGS = {"user.name": "Ada", "user.email": "ada@example.org", "commit.gpgsign": "false"}


def git(folder: Path, *arguments: str) -> None:
    """Run git as its user would."""
    settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    subprocess.run(["git", *settings, *arguments], cwd=folder, env=environ, check=True, capture_output=True)


def made(folder: Path) -> Path:
    """A repository with one commit and one changed file."""
    folder.mkdir(exist_ok=True)
    git(folder, "init", "-q")
    (folder / "a.txt").write_text("one\n")
    git(folder, "add", "a.txt")
    git(folder, "commit", "-q", "-m", "first")
    (folder / "a.txt").write_text("two\n")
    return folder


def trap(folder: Path) -> str:
    """A program that leaves a mark outside the repository."""
    program = folder.parent / "trap"
    program.write_text(f"#!/bin/sh\ntouch {folder.parent}/sprung\ncat\n")
    program.chmod(0o755)
    return str(program)


@pytest.fixture
async def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Session]:
    """A session in a repository of its own, where git knows no settings of this machine's user."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.chdir(made(tmp_path / "desk"))
    async with tools(tmp_path / "home") as found:
        yield found


def setting(key: str) -> Callable[[Path], None]:
    """A repository whose settings name the trap."""
    return lambda folder: git(folder, "config", key, trap(folder))


def a_filter(folder: Path) -> None:
    """A file that git hands to a program to compare it."""
    (folder / ".gitattributes").write_text("*.txt filter=odd\n")
    git(folder, "config", "filter.odd.clean", trap(folder))


def a_hook(folder: Path) -> None:
    """A hook that runs when the index is written."""
    shutil.copy(trap(folder), folder / ".git" / "hooks" / "post-index-change")


def another(folder: Path) -> None:
    """A repository in the repository."""
    inner = made(folder / "inner")
    (inner / ".gitattributes").write_text("*.txt filter=odd\n")
    git(inner, "config", "filter.odd.clean", trap(folder))
    git(folder, "add", "inner")


def included(folder: Path) -> None:
    """Settings in another file."""
    (folder / "more").write_text(f"[core]\nfsmonitor = {trap(folder)}\n")
    git(folder, "config", "include.path", "../more")


HOSTILE: dict[str, tuple[Callable[[Path], None], str]] = {
    "fsmonitor": (setting("core.fsmonitor"), "(core.fsmonitor)"),
    "external diff": (setting("diff.external"), "(diff.external)"),
    "signatures": (setting("gpg.program"), "(gpg.program)"),
    "ssh": (setting("core.sshCommand"), "(core.sshcommand)"),
    "alias": (setting("alias.status"), "(alias.status)"),
    "filter": (a_filter, "(filter.odd.clean)"),
    "hook": (a_hook, "its hook post-index-change"),
    "submodule": (another, "has others in it"),
    "include": (included, "(core.fsmonitor, include.path)"),
}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_repository_that_runs_programs_is_asked_about_each_time(
    session: Session, tmp_path: Path, kind: str
) -> None:
    await call(session, "run_command", "conversation", command="ls")
    make, said = HOSTILE[kind]
    make(Path.cwd())
    for command in ("git status --short", "ls && git diff"):
        assert "did not allow" in await told(session, "run_command", False, command=command)
        assert "Beware: this git repository" in asked(session).question
        assert said in asked(session).question
        assert asked(session).dangers == (command.removeprefix("ls && "),)
    assert not (tmp_path / "sprung").exists(), "nothing ran while it was looked at"


async def test_an_ordinary_repository_is_read_within_a_permission_for_the_conversation(session: Session) -> None:
    git(Path.cwd(), "remote", "add", "origin", "https://example.org/x.git")
    await call(session, "run_command", "conversation", command="git log --oneline")
    ui(session).asked.clear()
    assert "a.txt" in await told(session, "run_command", command="git status --short")
    assert "+two" in await told(session, "run_command", command="git diff")
    assert ui(session).asked == []


async def test_what_was_allowed_for_good_does_not_cover_what_came_later(session: Session, tmp_path: Path) -> None:
    await call(session, "run_command", "always", command="git status")
    assert "exit code 0" in await told(session, "run_command", command="git status")
    a_filter(Path.cwd())
    assert "did not allow" in await told(session, "run_command", False, command="git status")
    assert not (tmp_path / "sprung").exists()


async def test_an_allowed_git_still_starts_no_monitor_and_no_pager(session: Session, tmp_path: Path) -> None:
    for key in ("core.fsmonitor", "core.pager"):
        setting(key)(Path.cwd())
    assert "a.txt" in await told(session, "run_command", True, command="git status --short && git log")
    assert not (tmp_path / "sprung").exists()


def test_settings_in_the_environment_are_replaced_by_ours() -> None:
    given = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "core.fsmonitor", "GIT_CONFIG_VALUE_0": "x", "HOME": "/"}
    found = with_overrides(given)
    names = {found[f"GIT_CONFIG_KEY_{place}"]: found[f"GIT_CONFIG_VALUE_{place}"] for place in range(len(OVERRIDES))}
    assert names == dict(OVERRIDES)
    assert (found["GIT_CONFIG_COUNT"], found["HOME"]) == (str(len(OVERRIDES)), "/")


def test_where_there_is_no_repository_or_no_git_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert objection(tmp_path) == ""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command_environment()["PATH"] == str(tmp_path)
    assert objection(made_without_git(tmp_path)) == ""


def made_without_git(folder: Path) -> Path:
    """A folder that only looks like a repository."""
    (folder / ".git").mkdir()
    return folder


async def test_hooks_that_run_when_git_writes_are_named_then(session: Session) -> None:
    for name in ("pre-commit", "commit-msg.sample"):
        hook = Path(".git/hooks") / name
        hook.write_text("#!/bin/sh\n")
        hook.chmod(0o755)
    await call(session, "run_command", False, command="git status")
    assert "Beware" not in asked(session).question
    await call(session, "run_command", False, command="git commit -m x")
    assert asked(session).question.endswith("runs a program of its own (its hook pre-commit).")


async def test_a_broken_repository_is_asked_about(session: Session) -> None:
    Path(".git/index").write_bytes(b"DIRC nonsense")
    assert "cannot be looked at" in objection(Path.cwd())
