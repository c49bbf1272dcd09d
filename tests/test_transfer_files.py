"""The files of a conversation beside its export."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatapp import Media, Message, Text, user
from chatapp.conversation import Conversation
from chatapp.transfer import read, to_json, to_markdown, with_files


def conversation_with(*paths: Path) -> Conversation:
    """A conversation that shows these pictures."""
    made = Conversation()
    made.append(user("/image a cat"))
    made.append(Message("assistant", (Text("Here."), *(Media(str(path), "image/png", "A cat") for path in paths))))
    return made


def media(conversation: Conversation) -> list[str]:
    """The paths of its pictures."""
    return [part.path for message in conversation.path() for part in message.parts if isinstance(part, Media)]


@pytest.mark.parametrize("write", [to_markdown, to_json])
def test_pictures_go_beside_the_export_and_come_back(tmp_path: Path, write: object) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "cat.png").write_bytes(folder.encode())
    gone = tmp_path / "gone.png"
    first, second = tmp_path / "one" / "cat.png", tmp_path / "two" / "cat.png"
    original = conversation_with(first, second, first, gone)
    export = tmp_path / "out" / "talk.md"
    export.parent.mkdir()
    text = write(with_files(original, export))  # type: ignore[operator]
    export.write_text(text, encoding="utf-8")
    assert str(first) not in text
    assert "talk-files/cat.png" in text
    assert media(original) == [str(first), str(second), str(first), str(gone)], "the original is left as it is"
    moved = tmp_path / "moved"
    export.parent.rename(moved)
    first.unlink()
    back = media(read(moved / "talk.md"))
    assert [Path(path).read_bytes() for path in back[:3]] == [b"one", b"two", b"one"]
    assert back[3] == str(gone)
    assert all(Path(path).parent == moved / "talk-files" for path in back[:3])


def test_an_export_cannot_point_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"x")
    inner = tmp_path / "inner"
    inner.mkdir()
    (inner / "talk.md").write_text(to_markdown(conversation_with(Path("../secret.png"))), encoding="utf-8")
    assert media(read(inner / "talk.md")) == ["../secret.png"]


def test_a_conversation_without_files_makes_no_folder(tmp_path: Path) -> None:
    with_files(conversation_with(), tmp_path / "talk.md")
    assert list(tmp_path.iterdir()) == []
