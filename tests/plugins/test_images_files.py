"""What is done with the file of a picture: opened, saved, deleted and brought back."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from chatapp import UsageError
from chatapp.testing import RecordingUI
from chatapp_images.view.handling import matching
from chatapp_images.view.opening import open_file, viewer
from chatapp_images.view.saving import copy, save_as, target_of
from chatapp_images.view.trash import clean, discard, restore


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """A file that stands for a picture."""
    path = tmp_path / "apple.png"
    path.write_bytes(b"apple")
    return path


def program(folder: Path, text: str) -> dict[str, str]:
    """An environment in which xdg-open is this script."""
    folder.mkdir()
    (folder / "xdg-open").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "xdg-open").chmod(0o755)
    return {"DISPLAY": ":9"}


async def test_a_viewer_is_started_and_told_the_file(
    tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    environ = program(tmp_path / "bin", 'echo noise; echo "$1" > "$1.opened"')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    await open_file(picture, environ)
    deadline = time.monotonic() + 30
    while not (opened := tmp_path / "apple.png.opened").exists() or not opened.read_text():
        assert time.monotonic() < deadline, "the viewer was never started"
    assert opened.read_text() == f"{picture}\n"
    assert capfd.readouterr() == ("", "")


async def test_a_viewer_that_fails_is_said(tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environ = program(tmp_path / "bin", "exit 3")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    # However slow the machine is, the script has ended when it is looked at.
    monkeypatch.setattr("chatapp_images.view.opening.SECONDS", 60.0)
    with pytest.raises(UsageError, match="xdg-open found nothing that opens pictures"):
        await open_file(picture, environ)


async def test_without_a_display_the_path_is_said(picture: Path) -> None:
    with pytest.raises(UsageError, match=r"no display here; the picture is .*apple\.png"):
        await open_file(picture, {})
    picture.unlink()
    with pytest.raises(UsageError, match="is gone"):
        await open_file(picture, {"DISPLAY": ":9"})


def test_each_system_has_its_viewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("open", "xdg-open", "wslview"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert viewer({}, "darwin") == ["open"]
    assert viewer({"WAYLAND_DISPLAY": "wayland-0"}, "linux") == ["xdg-open"]
    assert viewer({"WSL_DISTRO_NAME": "Debian"}, "linux") == ["wslview"]
    assert viewer({}, "linux") is None


async def test_a_copy_is_saved_where_the_user_says(tmp_path: Path, picture: Path) -> None:
    ui = RecordingUI(answers=[str(tmp_path / "copy")])
    assert await save_as(ui, picture) == tmp_path / "copy.png"
    assert (tmp_path / "copy.png").read_bytes() == b"apple"
    assert ui.notices == [("information", f"Saved: {tmp_path / 'copy.png'}")]
    assert await save_as(RecordingUI(answers=["  "]), picture) is None


async def test_before_a_file_is_replaced_the_user_is_asked(tmp_path: Path, picture: Path) -> None:
    other = tmp_path / "other.png"
    other.write_bytes(b"other")
    assert await save_as(RecordingUI(answers=[str(other), False]), picture) is None
    assert other.read_bytes() == b"other"
    assert await save_as(RecordingUI(answers=[str(other), True]), picture) == other
    assert other.read_bytes() == b"apple"
    with pytest.raises(UsageError, match="is the picture itself"):
        await save_as(RecordingUI(answers=[str(picture)]), picture)


def test_a_target_is_a_file_of_the_same_kind(tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "folder").mkdir()
    assert target_of("~/fruit", picture) == tmp_path / "fruit.png"
    assert target_of(str(tmp_path / "folder"), picture) == tmp_path / "folder" / "apple.png"
    assert target_of("~/new/", picture) == tmp_path / "new" / "apple.png"
    with pytest.raises(UsageError, match=r"let the name end in \.png"):
        target_of("~/fruit.jpg", picture)
    with pytest.raises(UsageError, match="no such home folder"):
        target_of("~nobody-of-this-name/x", picture)


def test_what_cannot_be_saved_is_said_and_leaves_nothing(
    tmp_path: Path, picture: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"There is no folder .*/missing; make it first"):
        copy(picture, tmp_path / "missing" / "a.png")
    target = tmp_path / "a.png"
    target.write_bytes(b"before")

    def full(source: Path, part: Path) -> None:
        part.write_bytes(b"ap")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("chatapp_images.view.saving.shutil.copyfile", full)
    with pytest.raises(UsageError, match=r"The disk is full, so .* was not saved"):
        copy(picture, target)
    assert target.read_bytes() == b"before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "apple.png"]


def test_a_deleted_picture_comes_back_as_it_was(picture: Path) -> None:
    modified = picture.stat().st_mtime_ns
    kept = discard(picture)
    assert not picture.exists()
    picture.write_bytes(b"another")
    second = discard(picture)
    assert kept != second
    restore(kept, picture)
    assert (picture.read_bytes(), picture.stat().st_mtime_ns) == (b"apple", modified)
    with pytest.raises(UsageError, match="There is another"):
        restore(second, picture)
    picture.unlink()
    with pytest.raises(UsageError, match="it is gone already"):
        discard(picture)


def test_after_a_day_it_is_gone(picture: Path) -> None:
    folder, kept = picture.parent, discard(picture)
    assert (clean(folder), kept.exists()) == (0, True)
    assert (clean(folder, time.time() + 90_000), kept.exists()) == (1, False)
    assert clean(folder / "nothing") == 0


def test_pictures_are_found_by_all_the_words(tmp_path: Path) -> None:
    kept = [
        SimpleNamespace(path=tmp_path / f"{place}.png", facts={"prompt": prompt, "model": "icons"}, modified=place)
        for place, prompt in enumerate(["a red apple", "a red car", "Maçã vermelha"])
    ]
    assert [each.modified for each in matching(kept, "")] == [2, 1, 0]
    assert [each.modified for each in matching(kept, "RED icons")] == [1, 0]
    assert [each.modified for each in matching(kept, "maçã")] == [2]
    assert matching(kept, "blue") == []
