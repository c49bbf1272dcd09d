"""Which files the tools reach: path tricks, secrets, what is swapped while permission is asked for."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatapp.consent import Ask, Decision
from chatapp.errors import UsageError
from chatapp.session import Session
from chatapp.testing import RecordingUI
from chatapp_tools.access import opened, reach
from tests.plugins.tools_support import asked, call, told, tools, ui


@pytest.fixture
async def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Session]:
    """A session in the folder `desk`, beside which lies the file `outside.txt`."""
    desk = tmp_path / "desk"
    (desk / "sub").mkdir(parents=True)
    (desk / "a.txt").write_text("inside\n")
    (tmp_path / "outside.txt").write_text("beyond\n")
    monkeypatch.chdir(desk)
    async with tools(tmp_path / "home") as made:
        yield made


def reaches(session: Session, path: str) -> bool:
    """Whether a path may be read without asking."""
    return reach(session, path).inside


async def test_paths_inside_are_free_however_they_are_written(session: Session, tmp_path: Path) -> None:
    for path in ("a.txt", "./a.txt", "sub/../a.txt", str(tmp_path / "desk" / "a.txt"), ".", "", "sub", "new.txt"):
        assert reaches(session, path), path


async def test_paths_that_lead_outside_are_not(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "desk-too").mkdir()
    Path("link").symlink_to("../outside.txt")
    Path("folder").symlink_to(tmp_path)
    Path("sub/chain").symlink_to("../link")
    Path("dangling").symlink_to("../nothing.txt")
    outside = ("../outside.txt", "sub/../../outside.txt", "~/outside.txt", "link", "folder/outside.txt", "sub/chain",
               "dangling", str(tmp_path / "desk-too"), "/etc/passwd", "..", "/")  # fmt: skip
    for path in outside:
        assert not reaches(session, path), path
    assert reach(session, "folder/desk/a.txt").inside
    assert reach(session, "sub/chain").path == tmp_path / "outside.txt"


async def test_secrets_and_the_applications_own_files_are_not_free(session: Session) -> None:
    for name in (".env", ".env.local", "server.pem", "id_rsa", "id_ed25519.bak", ".ssh/config", ".git/config", "x.KEY",
                 ".aws/credentials", ".bash_history", "credentials.json", ".netrc", "sub/.gnupg/ring"):  # fmt: skip
        assert "secret" in reach(session, name).why, name
    for name in (".env.example", "keyboard.txt", "id_map.py", ".git/HEAD", "secretary.md"):
        assert reaches(session, name), name
    own = session.host.paths
    for path in (own.data / "permissions.json", own.config / "settings.toml", own.cache):
        assert "application" in reach(session, str(path)).why


async def test_devices_pipes_sockets_and_the_systems_own_files_are_refused(session: Session) -> None:
    os.mkfifo("pipe")
    Path("pipelink").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        for path in ("pipe", "pipelink", "socket", "/dev/zero", "/dev/fd/0", "/proc/self/environ", "/sys/kernel",
                     "/dev/../proc/1/mem", "a\0b"):  # fmt: skip
            with pytest.raises(UsageError):
                reach(session, path)
            assert "Failed: " in await told(session, "read_file", path=path)
    assert ui(session).asked == []


async def test_what_is_outside_is_asked_for_with_its_whole_path_each_time(session: Session, tmp_path: Path) -> None:
    path = str(tmp_path / "outside.txt")
    assert "did not allow" in await told(session, "read_file", False, path="../outside.txt")
    assert "beyond" in await told(session, "read_file", "conversation", path="../outside.txt")
    assert asked(session).detail == path
    assert asked(session).dangers == (path,)
    assert f"Let the model read {path}? Beware: it is outside" in asked(session).question
    # What was allowed once more widely does not count for what is beyond.
    assert "did not allow" in await told(session, "read_file", False, path="../outside.txt")
    assert "beyond" in await told(session, "read_file", "always", path="../outside.txt")
    assert "beyond" in await told(session, "read_file", path="../outside.txt")
    assert "did not allow" in await told(session, "list_files", False, path="..")
    count = len(ui(session).asked)
    assert "There is no file /README.md" in await told(session, "read_file", path="/README.md")
    assert len(ui(session).asked) == count


async def test_a_link_swapped_after_the_check_leads_nowhere(session: Session, tmp_path: Path) -> None:
    checked = reach(session, "a.txt")
    Path("a.txt").unlink()
    Path("a.txt").symlink_to("../outside.txt")
    with pytest.raises(UsageError), opened(checked):
        pass
    Path("b.txt").write_text("another")
    Path("b.txt").replace("a.txt")
    with pytest.raises(UsageError, match="changed while"), opened(checked):
        pass


async def test_a_folder_swapped_for_a_link_after_the_check_leads_nowhere(session: Session, tmp_path: Path) -> None:
    Path("sub/outside.txt").write_text("mine")
    checked = reach(session, "sub/outside.txt")
    Path("sub").rename("away")
    Path("sub").symlink_to(tmp_path)
    with pytest.raises(UsageError, match="cannot be read"), opened(checked):
        pass


async def test_what_leads_elsewhere_after_the_question_is_not_opened(session: Session, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("other")
    Path("link").symlink_to("../outside.txt")

    class Swapping(RecordingUI):
        async def permit(self, ask: Ask) -> Decision:
            Path("link").unlink()
            Path("link").symlink_to("../other.txt")
            return Decision("once")

    session.ui = Swapping()
    found = await call(session, "read_file", path="link")
    assert found.result.failed
    assert "changed while permission was asked" in found.result.text


async def test_the_folders_of_the_settings_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "docs" / "a.md").write_text("words")
    monkeypatch.chdir(tmp_path / "other")
    async with tools(tmp_path / "home", f'folders = ["{tmp_path}/docs"]') as session:
        assert "words" in await told(session, "read_file", path="../docs/a.md")
        assert not reach(session, "anything").inside
