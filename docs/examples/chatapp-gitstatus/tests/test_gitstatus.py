"""A real repository, and what the model reads of it."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from types import ModuleType

import chatapp_gitstatus
import pytest

from chatapp import Session, Text, completed
from chatapp.testing import ScriptedEngine, assert_prefix_stable, run_action


@pytest.fixture
def plugins() -> list[ModuleType]:
    """What is tested."""
    return [chatapp_gitstatus]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the user: a repository with one new file."""
    made = tmp_path / "project"
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", made], check=True)
    (made / "new.txt").write_text("new")
    monkeypatch.chdir(made)
    return made


async def test_the_model_reads_the_status_beside_each_message(
    session: Session, engine: ScriptedEngine, folder: Path
) -> None:
    await completed(session, "What did I change?")
    role, text = engine.sent[-1]
    assert role == "user"
    assert text == "git status of this folder:\n## No commits yet on main\n?? new.txt\n\nWhat did I change?"
    (folder / "other.txt").write_text("other")
    await completed(session, "And now?")
    assert "?? other.txt" in engine.sent[-1][1]
    assert_prefix_stable(session)


async def test_a_long_status_is_cut(session: Session, folder: Path) -> None:
    for number in range(50):
        (folder / f"file{number}.txt").write_text("")
    (shown,) = await run_action(session, "gitstatus")
    assert isinstance(shown, Text)
    assert len(shown.text.splitlines()) == 41
    assert shown.text.endswith("\nand 12 more")


async def test_a_folder_without_git(session: Session, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    assert await run_action(session, "gitstatus") == [Text("There is no git repository here.")]
    monkeypatch.setenv("PATH", "")
    assert await run_action(session, "gitstatus") == [Text("There is no git repository here.")]


async def test_stopping_ends_git(session: Session, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chatapp_gitstatus, "COMMAND", ("sh", "-c", "echo $$ > pid; exec sleep 60"))
    under_way = asyncio.create_task(chatapp_gitstatus.status())
    while not (folder / "pid").exists() or not (folder / "pid").read_text().strip():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    under_way.cancel()
    with pytest.raises(asyncio.CancelledError):
        await under_way
    assert not Path("/proc", (folder / "pid").read_text().strip()).exists()
