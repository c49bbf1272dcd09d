"""Files mentioned in a message."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatapp.attach import LARGEST, decode, mentioned, mentions, read_source
from chatapp.errors import UsageError
from chatapp.messages import Source


def attach(text: str, cwd: Path) -> tuple[Source, ...]:
    """What a message mentions, all of it plain text."""
    return tuple(read_source(path, written) for path, written in mentioned(text, cwd))


def test_mentioned_files_are_attached_once_in_order(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("A")
    (tmp_path / "my file.md").write_text("B")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.py").write_text("C")
    found = attach('Compare @sub/c.py, @"my file.md" and @a.txt. Then @a.txt again!', tmp_path)
    assert [(source.title, source.text) for source in found] == [("sub/c.py", "C"), ("my file.md", "B"), ("a.txt", "A")]
    assert found[0].uri == str(tmp_path / "sub" / "c.py")


def test_what_is_no_file_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "host").write_text("not this one")
    text = "Mail user@host about @decorator, @folder, @missing.txt and @ alone"
    assert attach(text, tmp_path) == ()
    assert list(mentions(text)) == ["decorator,", "folder,", "missing.txt"]


def test_a_name_with_punctuation_is_tried_as_it_is_first(tmp_path: Path) -> None:
    (tmp_path / "what?").write_text("yes")
    (tmp_path / "what").write_text("no")
    assert attach("@what?", tmp_path)[0].text == "yes"
    assert attach("@what!", tmp_path)[0].text == "no"


def test_absolute_paths_and_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("A")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert attach(f"@{tmp_path}/a.txt", Path("/"))[0].text == "A"
    assert attach("@~/a.txt", Path("/"))[0].text == "A"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain", "plain"),
        ("\ufeffmark".encode(), "mark"),
        ("wide é".encode("utf-16"), "wide é"),
        (b"", ""),
        (b"\x7fELF\x00\x01", None),
        (b"\xff\xfe\x00", None),
        (b"\xc3\x28", None),
        (b"%PDF-1.4\nall of it in letters", None),
        (b"{\\rtf1 text}", None),
    ],
)
def test_only_text_is_read(data: bytes, text: str | None) -> None:
    assert decode(data) == text


def test_the_beginning_of_a_long_text_is_text() -> None:
    assert decode("long é".encode()[:-1], whole=False) == "long "
    assert decode("long é".encode()[:-1]) is None
    assert decode("é".encode("utf-16") + b"x", whole=False) == "é"


def test_files_that_cannot_be_attached_are_named(tmp_path: Path) -> None:
    (tmp_path / "big.log").write_bytes(b"x" * (LARGEST - 1) + "é".encode())
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\x00")
    with pytest.raises(UsageError, match=r"big\.log is 1\.0 MB, too much to attach"):
        attach("see @big.log", tmp_path)
    with pytest.raises(UsageError, match=r"picture\.png is not a text file"):
        attach("see @picture.png", tmp_path)


def test_a_name_cannot_break_out_of_its_label(tmp_path: Path) -> None:
    (tmp_path / 'x\x1b[31m".txt').write_text("A")
    title = attach('@x\x1b[31m".txt', tmp_path)
    assert title == ()
    (tmp_path / "x\x1b[31m.txt").write_text("A")
    assert attach("@x\x1b[31m.txt", tmp_path)[0].title == "x␛[31m.txt"
