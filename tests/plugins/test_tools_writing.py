"""Writing and editing files: the diff that is shown, what stays as it was, what is refused, taking it back."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatapp.consent import Ask, Decision
from chatapp.errors import UsageError
from chatapp.session import Session
from chatapp.testing import RecordingUI
from chatapp_tools.writing import diff
from tests.plugins.tools_support import asked, call, told, tools, ui
from tests.support_plugins import run


@pytest.fixture
async def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Session]:
    """A session in an empty folder."""
    (tmp_path / "desk").mkdir()
    monkeypatch.chdir(tmp_path / "desk")
    async with tools(tmp_path / "home") as made:
        yield made


async def test_a_new_file_is_shown_as_a_diff_and_written_once_allowed(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "desk" / "deep" / "er" / "notes.md"
    said = await told(session, "write_file", False, path="deep/er/notes.md", text="one\ntwo\n")
    assert said == "The user did not allow this."
    assert not path.parent.exists()
    said = await told(session, "write_file", True, path="deep/er/notes.md", text="one\ntwo\n")
    assert path.read_text() == "one\ntwo\n"
    assert "Created deep/er/notes.md (2 lines added, 0 removed)" in said
    ask = asked(session)
    assert ask.question == "Create deep/er/notes.md (2 lines added, 0 removed)?"
    assert ask.shown_as == "diff"
    assert ask.detail == f"--- /dev/null\n+++ {path}\n@@ -0,0 +1,2 @@\n+one\n+two\n"
    assert ask.dangers == ()


async def test_an_edit_changes_one_place_and_keeps_mode_mark_and_line_ends(session: Session) -> None:
    file = Path("a.txt")
    file.write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\nthree")
    file.chmod(0o640)
    await call(session, "edit_file", True, path="a.txt", old="one\ntwo", new="1\n2\n2b")
    assert file.read_bytes() == b"\xef\xbb\xbf1\r\n2\r\n2b\r\nthree"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert "-one" in asked(session).detail
    assert "three\n\\ No newline at end of file\n" in asked(session).detail
    await call(session, "write_file", True, path="a.txt", text="all\nnew\n")
    assert file.read_bytes() == b"\xef\xbb\xbfall\r\nnew\r\n"
    assert [each.name for each in Path().iterdir()] == ["a.txt"]


async def test_an_edit_that_does_not_fit_is_told_so_that_the_model_can_mend_it(session: Session) -> None:
    Path("a.txt").write_text("def first():\n    pass\n\ndef second():\n    pass\n")
    said = await told(session, "edit_file", path="a.txt", old="def frist():", new="x")
    assert "does not stand in a.txt; the nearest is line 1, 'def first():': copy it from read_file." in said
    assert "stands in a.txt 2 times" in await told(session, "edit_file", path="a.txt", old="    pass", new="x")
    assert "The old text is empty" in await told(session, "edit_file", path="a.txt", old="", new="x")
    assert "There is no file b.txt" in await told(session, "edit_file", path="b.txt", old="x", new="y")
    assert "holds exactly that already" in await told(session, "edit_file", path="a.txt", old="first", new="first")
    assert ui(session).asked == []


async def test_what_cannot_be_written_is_told_before_anyone_is_asked(session: Session) -> None:
    Path("binary").write_bytes(b"\0\1")
    Path("file").write_text("x")
    Path("folder").mkdir()
    own = session.host.paths.data / "permissions.json"
    for path, text, why in (
        ("binary", "x", "not a text in UTF-8"),
        ("file/below", "x", "nothing can be written below it"),
        ("folder", "x", "is a folder"),
        ("new", "x" * 1_000_001, "larger than"),
        ("new", "\ud800", "half a character"),
        ("/dev/null", "x", "belongs to the system"),
        (str(own), "{}", "belongs to this application and is not written"),
    ):
        assert why in await told(session, "write_file", True, path=path, text=text), path
    assert ui(session).asked == []
    assert not own.exists()


async def test_beyond_the_folders_the_path_is_a_danger_and_asked_each_time(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    Path("link.txt").symlink_to("../out.txt")
    await call(session, "write_file", "conversation", path="link.txt", text="1")
    assert asked(session).dangers == (str(path),)
    assert str(path) in asked(session).detail
    assert (
        f"Create {path} (1 line added, 0 removed)? Beware: it is outside the allowed folders."
        == asked(session).question
    )
    assert path.read_text() == "1"
    assert Path("link.txt").is_symlink()
    await call(session, "write_file", False, path="../out.txt", text="2")
    assert path.read_text() == "1"
    for name in (".bashrc", ".git/hooks/pre-commit", ".env"):
        await call(session, "write_file", False, path=name, text="x")
        assert asked(session).dangers, name


async def test_always_for_exactly_this_holds_for_the_same_text_only(session: Session) -> None:
    await call(session, "write_file", "always", path="a.txt", text="same")
    Path("a.txt").unlink()
    await call(session, "write_file", path="a.txt", text="same")
    assert Path("a.txt").read_text() == "same"
    assert await told(session, "write_file", path="a.txt", text="other") == "The user did not allow this."
    await call(session, "write_file", "conversation", path="a.txt", text="other")
    await call(session, "write_file", path="b.txt", text="anything")
    assert Path("b.txt").exists()


async def test_always_in_the_conversation_holds_for_the_files_of_that_folder(session: Session, tmp_path: Path) -> None:
    await call(session, "write_file", "conversation", path="a.txt", text="one")
    assert asked(session).scope == f"files directly in {tmp_path / 'desk'}"
    assert not (await call(session, "write_file", path="b.txt", text="two")).result.failed
    assert len(ui(session).asked) == 1
    assert (await call(session, "write_file", path="deep/c.txt", text="three")).result.failed, "another folder asks"
    assert (await call(session, "edit_file", path="a.txt", old="one", new="1")).result.failed, "another tool asks"
    assert (await call(session, "write_file", path=".env", text="x")).result.failed, "so does what is dangerous"


async def test_a_file_that_changed_while_permission_was_asked_is_left_alone(session: Session) -> None:
    file = Path("a.txt")
    file.write_text("old\n")

    class Changing(RecordingUI):
        async def permit(self, ask: Ask) -> Decision:
            file.write_text("changed by someone\n")
            return Decision("once")

    session.ui = Changing()
    found = await call(session, "write_file", path="a.txt", text="new\n")
    assert found.result.failed
    assert "changed while permission was asked for" in found.result.text
    assert file.read_text() == "changed by someone\n"


async def test_undo_brings_back_the_last_and_then_the_one_before(session: Session) -> None:
    Path("a.txt").write_text("first")
    Path("a.txt").chmod(0o600)
    await call(session, "write_file", True, path="a.txt", text="second")
    await call(session, "edit_file", True, path="a.txt", old="second", new="third")
    await call(session, "write_file", True, path="new.txt", text="x")
    for kept in (session.host.paths.data / "tools" / "undo").iterdir():
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    await run(session, "/tools undo")
    assert not Path("new.txt").exists()
    await run(session, "/tools undo")
    assert Path("a.txt").read_text() == "second"
    await run(session, "/tools undo")
    assert Path("a.txt").read_text() == "first"
    assert stat.S_IMODE(Path("a.txt").stat().st_mode) == 0o600
    with pytest.raises(UsageError, match="No tool has written"):
        await run(session, "/tools undo")


async def test_undo_asks_before_it_overwrites_what_came_later(session: Session) -> None:
    Path("a.txt").write_text("first")
    await call(session, "write_file", True, path="a.txt", text="second")
    Path("a.txt").write_text("by hand")
    ui(session).answers = [False]
    with pytest.raises(UsageError, match="was left as it is"):
        await run(session, "/tools undo")
    assert Path("a.txt").read_text() == "by hand"
    ui(session).answers = [True]
    await run(session, "/tools undo")
    assert Path("a.txt").read_text() == "first"


def test_a_diff_tells_line_ends_and_missing_ones() -> None:
    assert diff(Path("/a"), "x\n", "x") == "--- /a\n+++ /a\n@@ -1 +1 @@\n-x\n+x\n\\ No newline at end of file\n"
    # A form feed ends no line.
    assert "+a\fb\n" in diff(Path("/a"), None, "a\fb\n")
