"""Where chatapp keeps its files, and that they are private."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from chatapp.errors import SettingsError
from chatapp.paths import Paths, paths, private_folder

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_one_folder_can_hold_all_three(tmp_path: Path) -> None:
    found = paths({"CHATAPP_HOME": str(tmp_path)})
    assert found == Paths(tmp_path / "data", tmp_path / "cache", tmp_path / "config")


def test_that_folder_may_be_written_relative_or_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert paths({"CHATAPP_HOME": "here"}).data == tmp_path / "here" / "data"
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert paths({"CHATAPP_HOME": "~/chat"}).data == tmp_path / "me" / "chat" / "data"


def test_the_process_environment_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHATAPP_HOME", str(tmp_path))
    assert paths().config == tmp_path / "config"


@pytest.mark.skipif(sys.platform != "linux", reason="XDG variables")
def test_otherwise_the_platform_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("DATA", "CACHE", "CONFIG"):
        monkeypatch.setenv(f"XDG_{variable}_HOME", str(tmp_path / variable))
    found = paths({})
    assert found == Paths(tmp_path / "DATA/chatapp", tmp_path / "CACHE/chatapp", tmp_path / "CONFIG/chatapp")


def test_asking_creates_nothing(tmp_path: Path) -> None:
    paths({"CHATAPP_HOME": str(tmp_path / "home")})
    assert list(tmp_path.iterdir()) == []


@posix_only
def test_ensure_makes_private_folders_with_private_parents(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        found = paths({"CHATAPP_HOME": str(tmp_path / "home")}).ensure()
    finally:
        os.umask(old)
    assert [mode(folder) for folder in (tmp_path / "home", found.data, found.cache, found.config)] == [0o700] * 4


@posix_only
def test_a_folder_open_to_others_is_tightened_but_not_its_parent(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o755)
    private_folder(folder)
    assert (mode(folder), mode(tmp_path)) == (0o700, 0o755)


def test_a_file_in_the_way_is_said_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(SettingsError, match=r"cannot use the folder .*data \(File exists\): set CHATAPP_HOME"):
        paths({"CHATAPP_HOME": str(tmp_path)}).ensure()
    assert (tmp_path / "data").is_file()
