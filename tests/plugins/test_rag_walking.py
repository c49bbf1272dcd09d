"""Finding files: order, ignored and hidden ones, links, loops, special files, and what is no document."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatapp_rag.reading.walking import Found, Skipped, walk

LARGEST = 1_000_000


def put(folder: Path, *names: str, text: str = "Some text.") -> None:
    """Write small files below a folder."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def found(*paths: Path, base: Path | None = None) -> list[str]:
    """The names of what is found, below the first path."""
    base = base or paths[0].resolve()
    return [each.path.relative_to(base).as_posix() for each in walk(paths, largest=LARGEST) if isinstance(each, Found)]


def skipped(*paths: Path) -> dict[str, str]:
    """Name and reason of what is skipped."""
    return {each.path.name: each.reason for each in walk(paths, largest=LARGEST) if isinstance(each, Skipped)}


def test_a_folder_is_walked_in_order_without_hidden_entries(tmp_path: Path) -> None:
    put(tmp_path, "b.md", "a/2.txt", "a/1.txt", ".hidden.md", ".git/config", ".venv/lib.py", "c.py")
    assert found(tmp_path) == ["a/1.txt", "a/2.txt", "b.md", "c.py"]
    assert skipped(tmp_path) == {}


def test_what_is_found_has_size_and_time(tmp_path: Path) -> None:
    put(tmp_path, "a.txt", text="12345")
    (each,) = walk([tmp_path], largest=LARGEST)
    facts = (tmp_path / "a.txt").stat()
    assert each == Found((tmp_path / "a.txt").resolve(), 5, facts.st_mtime_ns)
    assert each.path.is_absolute()


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "folder/a.txt")
    monkeypatch.chdir(tmp_path)
    assert found(Path("folder"), base=tmp_path.resolve()) == ["folder/a.txt"]


def test_a_file_named_is_taken_even_if_hidden_or_ignored(tmp_path: Path) -> None:
    put(tmp_path, ".notes.md", "secret.txt")
    (tmp_path / ".gitignore").write_text("secret.txt\n")
    assert found(tmp_path / ".notes.md", tmp_path / "secret.txt", base=tmp_path.resolve()) == [
        ".notes.md",
        "secret.txt",
    ]
    assert found(tmp_path) == []


def test_gitignore_holds_with_nested_files_and_exceptions(tmp_path: Path) -> None:
    put(tmp_path, "keep.txt", "x.log", "build/out.txt", "sub/build/out.txt", "sub/x.log", "sub/keep.log", "sub/own.txt")
    (tmp_path / ".gitignore").write_text("*.log\n/build/\n# a comment\n")
    (tmp_path / "sub/.gitignore").write_text("!keep.log\nown.txt\n")
    assert found(tmp_path) == ["keep.txt", "sub/build/out.txt", "sub/keep.log"]


def test_the_rules_of_the_repository_above_hold_and_none_above_that(tmp_path: Path) -> None:
    put(tmp_path, "repo/docs/a.txt", "repo/docs/b.tmp", "repo/docs/c.txt")
    (tmp_path / "repo/.git").mkdir()
    (tmp_path / "repo/.gitignore").write_text("*.tmp\n")
    (tmp_path / ".gitignore").write_text("c.txt\n")
    assert found(tmp_path / "repo/docs") == ["a.txt", "c.txt"]
    (tmp_path / "repo/.git").rmdir()
    assert found(tmp_path / "repo/docs") == ["a.txt", "b.tmp", "c.txt"]


def test_a_link_inside_is_followed_once_and_loops_end(tmp_path: Path) -> None:
    put(tmp_path, "z/real.txt")
    (tmp_path / "a.txt").symlink_to(tmp_path / "z/real.txt")
    (tmp_path / "b").symlink_to(tmp_path / "z")
    (tmp_path / "z/up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    assert found(tmp_path) == ["z/real.txt"]
    assert skipped(tmp_path) == {"self": "is a broken link"}


def test_a_link_to_outside_is_not_followed_unless_it_was_named(tmp_path: Path) -> None:
    put(tmp_path, "in/a.txt", "out/secret.txt")
    (tmp_path / "in/link.txt").symlink_to(tmp_path / "out/secret.txt")
    (tmp_path / "in/folder").symlink_to(tmp_path / "out")
    assert found(tmp_path / "in") == ["a.txt"]
    assert set(skipped(tmp_path / "in")) == {"link.txt", "folder"}
    assert "outside" in skipped(tmp_path / "in")["folder"]
    base = tmp_path.resolve()
    assert found(tmp_path / "in", tmp_path / "out", base=base) == ["in/a.txt", "out/secret.txt"]
    assert found(tmp_path / "in/link.txt", base=base) == ["out/secret.txt"]


def test_a_path_given_twice_is_walked_once(tmp_path: Path) -> None:
    put(tmp_path, "a/x.txt", "a/y.txt")
    assert found(tmp_path / "a", tmp_path / "a/x.txt", tmp_path, base=tmp_path.resolve()) == ["a/x.txt", "a/y.txt"]


@pytest.fixture
def listening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A socket in the folder; by a relative name, as the path of one may not be long."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as each:
        each.bind("door")
        yield


def test_special_files_are_never_opened(tmp_path: Path, listening: None) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    assert skipped(tmp_path) == {"pipe.txt": "is a named pipe", "door": "is a socket"}
    assert skipped(Path("/dev/null")) == {"null": "is a device"}


def test_large_files_and_other_kinds_are_skipped_with_the_reason(tmp_path: Path) -> None:
    put(tmp_path, "photo.PNG", "x.tar.gz", "ok.unknown")
    (tmp_path / "big.txt").write_bytes(b"x" * (LARGEST + 1))
    (tmp_path / "fits.txt").write_bytes(b"x" * LARGEST)
    assert found(tmp_path) == ["fits.txt", "ok.unknown"]
    assert skipped(tmp_path) == {
        "photo.PNG": "is no document (.png)", "x.tar.gz": "is no document (.gz)", "big.txt": "is larger than 1 MB",
    }  # fmt: skip
    assert skipped(tmp_path / "photo.PNG") == {"photo.PNG": "is no document (.png)"}


def test_what_does_not_exist_is_said(tmp_path: Path) -> None:
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    assert skipped(tmp_path / "none", tmp_path / "broken") == {
        "none": "there is no such file or folder", "broken": "is a broken link",
    }  # fmt: skip


def test_what_cannot_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "closed/a.txt", "open.txt")
    listing = os.scandir

    def denied(path: Path) -> object:
        # Tests may run as a user whom no permission stops.
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return listing(path)

    monkeypatch.setattr("chatapp_rag.reading.walking.os.scandir", denied)
    assert found(tmp_path) == ["open.txt"]
    assert skipped(tmp_path) == {"closed": "cannot be read: Permission denied"}


def test_names_that_are_no_text_are_told(tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"caf\xe9.txt")  # noqa: PTH118 - a name in bytes
    with open(path, "wb") as file:  # noqa: PTH123
        file.write(b"text")
    (skipped,) = walk([tmp_path], largest=LARGEST)
    assert isinstance(skipped, Skipped)
    assert (skipped.path.name, skipped.reason) == ("caf\\udce9.txt", "has a name that is no UTF-8 text; rename it")
