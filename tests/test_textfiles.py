"""Text files that people edit: every way a file can be wrong is one sentence, and names find files."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatapp import UsageError, named_file, named_files, read_text


def test_marks_and_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\ntwo\n")
    assert read_text(path) == "one\ntwo\n"
    assert read_text(path, keep_ends=True) == "one\r\ntwo\n"
    path.write_bytes("é\n".encode("utf-16"))
    assert read_text(path) == "é\n"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"fine\ncaf\xe9\n", r"a\.txt, line 2: this is not UTF-8 text; save the file as UTF-8\."),
        (b"fine\nfine\n\0", r"a\.txt, line 3: this is not UTF-8 text"),
        (b"\xff\xfea", r"a\.txt, line 1: this is not UTF-8 text"),
        (b"x" * 3001, r"a\.txt is larger than 3 kB: take out what is not needed\."),
    ],
)
def test_what_is_no_text_is_told_with_its_line(tmp_path: Path, data: bytes, sentence: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    with pytest.raises(UsageError, match=sentence):
        read_text(path, 3000)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.txt cannot be read: No such file"):
        read_text(tmp_path / "none.txt")
    with pytest.raises(UsageError, match="is not a file; name a text file"):
        read_text(tmp_path)
    with pytest.raises(UsageError, match="cannot be read: embedded null byte"):
        read_text(tmp_path / "a\0b")


def test_later_folders_and_endings_win(tmp_path: Path) -> None:
    for name in ("first/a.md", "first/b.txt", "first/b.md", "second/a.txt", "second/list.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    folders = (tmp_path / "first", tmp_path / "second", tmp_path / "nowhere")
    known = named_files(folders, (".txt", ".md"), {"list"})
    assert [str(path.relative_to(tmp_path)) for path in known.values()] == ["second/a.txt", "first/b.md"]
    assert named_file(known, "a", "prompt") == tmp_path / "second" / "a.txt"
    near = named_files([tmp_path / "second"], [".md"])
    with pytest.raises(UsageError, match=r"There is no prompt 'lisst'; did you mean 'list'\?"):
        named_file(near, "lisst", "prompt")
    with pytest.raises(UsageError, match="There is no prompt 'zzz'; /prompt lists them"):
        named_file(near, "zzz", "prompt")
