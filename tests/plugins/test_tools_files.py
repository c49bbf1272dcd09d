"""Reading, listing and searching files as a model does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chatapp.engine import EngineConfig, EngineInfo, EngineSpec, Report
from chatapp.hookspecs import hookimpl
from chatapp.host import Host
from chatapp.messages import Data, Source
from chatapp.session import Session
from chatapp_tools import files, finding, walking
from tests.plugins.tools_support import call, told, tools, ui


@pytest.fixture
async def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Session]:
    """A session in an empty folder."""
    (tmp_path / "desk").mkdir()
    monkeypatch.chdir(tmp_path / "desk")
    async with tools(tmp_path / "home") as made:
        yield made


async def test_a_text_is_read_in_pieces_that_say_how_to_go_on(session: Session) -> None:
    Path("n.txt").write_text("".join(f"line {number}\n" for number in range(1, 11)))
    assert await told(session, "read_file", path="n.txt", lines=2) == (
        "n.txt, lines 1 to 2 of 10:\nline 1\nline 2\n(More follows: read_file with first_line=3 goes on.)"
    )
    assert (
        await told(session, "read_file", path="n.txt", first_line=9) == "n.txt, lines 9 to 10 of 10:\nline 9\nline 10"
    )
    assert "has only 10 lines" in await told(session, "read_file", path="n.txt", first_line=11)
    assert ui(session).asked == []


async def test_long_lines_and_long_files_stay_below_what_a_model_is_told(session: Session) -> None:
    Path("wide.txt").write_text("x" * 50_000 + "\nsecond\n")
    found = await told(session, "read_file", path="wide.txt")
    assert "the line goes on" in found
    assert "first_line=2" in found
    Path("long.txt").write_text(("y" * 99 + "\n") * 1000)
    found = await told(session, "read_file", path="long.txt", lines=1000)
    assert len(found) < 8000
    assert f"lines 1 to {files.MOST_CHARACTERS // 100} of 1000" in found
    Path("huge.txt").write_text("z\n" * 600_000)
    assert "use search_files" in await told(session, "read_file", path="huge.txt")


async def test_encodings(session: Session) -> None:
    Path("bom.txt").write_bytes(b"\xef\xbb\xbfgr\xc3\xbcn\r\nzwei\r\n")
    assert (await told(session, "read_file", path="bom.txt")).endswith(":\ngrün\nzwei")
    Path("wide.txt").write_bytes("grün".encode("utf-16"))
    assert (await told(session, "read_file", path="wide.txt")).endswith("grün")
    Path("empty.txt").touch()
    assert await told(session, "read_file", path="empty.txt") == "empty.txt is empty."
    Path("latin.txt").write_bytes("grün".encode("latin-1"))
    Path("binary").write_bytes(bytes(range(256)))
    for path in ("latin.txt", "binary"):
        found = await call(session, "read_file", path=path)
        assert found.result.failed
        assert "no plugin that reads documents" in found.result.text
    for path, why in (("nothing.txt", "There is no file"), (".", "is a folder; list_files")):
        assert why in await told(session, "read_file", path=path)


@dataclass(slots=True)
class TinyReader:
    """An engine of the kind "reader" that reads a text after a mark, and remembers where it was."""

    read_paths: list[Path] = field(default_factory=list)

    @property
    def info(self) -> EngineInfo:
        """Its name."""
        return EngineInfo("tiny", "tiny", 0, frozenset())

    async def read(self, path: Path) -> Source:
        """The text of the file."""
        self.read_paths.append(path)
        return Source(path.name, path.read_bytes().removeprefix(b"%PDF-").decode())

    async def tune(self, config: EngineConfig) -> bool:
        """Takes on anything."""
        return True

    async def close(self) -> None:
        """Nothing to close."""

    @hookimpl
    def engines(self) -> Iterable[EngineSpec]:
        """This reader."""

        async def open_engine(host: Host, config: EngineConfig, report: Report) -> TinyReader:
            return self

        yield EngineSpec("tiny", open_engine, accepts=lambda host, model: True, kind="reader")


async def test_a_document_is_read_by_the_reader_from_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plan.pdf").write_text("%PDF-first\nsecond\n")
    reader = TinyReader()
    async with tools(tmp_path / "home", tiny=reader) as session:
        found = await told(session, "read_file", path="plan.pdf", first_line=2)
    assert found == "plan.pdf, lines 2 to 2 of 2:\nsecond"
    (copy,) = reader.read_paths
    assert copy.name == "plan.pdf"
    assert copy != Path("plan.pdf").resolve()
    assert not copy.exists()


def tree() -> None:
    """Files of all kinds in the current folder."""
    for name in ("src/a.py", "src/deep/b.py", "build/c.py", "notes.md", ".git/hidden.py", ".env", "node_modules/x.py"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(f"# Needle in {name}\nother\n")
    Path(".gitignore").write_text("build/\n*.log\n")
    Path("x.log").write_text("needle")
    Path("binary.bin").write_bytes(b"\0needle")


async def test_a_folder_is_listed_with_sizes_folders_first(session: Session, tmp_path: Path) -> None:
    assert await told(session, "list_files") == ". is empty."
    tree()
    Path("link").symlink_to(tmp_path)
    found = await call(session, "list_files")
    lines = found.result.text.split("\n")
    assert lines[1:5] == [".git/", "build/", "node_modules/", "src/"]
    assert "notes.md  (27 B)" in lines
    assert "link  (link)" in lines
    (part,) = found.shown
    assert isinstance(part, Data)
    assert {"name": "src/", "size": ""} in part.value
    assert "use read_file" in await told(session, "list_files", path="notes.md")
    assert "There is no folder" in await told(session, "list_files", path="nothing")


async def test_a_long_folder_is_cut(session: Session) -> None:
    for number in range(files.MOST_ENTRIES + 5):
        Path(f"{number:04}").touch()
    found = await told(session, "list_files")
    assert found.endswith("(5 more; give a pattern to find one)")
    assert len(found) < 8000


async def test_files_are_found_by_name_where_git_looks(session: Session) -> None:
    tree()
    assert (await told(session, "list_files", pattern="*.py")).split("\n") == [
        "src/a.py  (27 B)",
        "src/deep/b.py  (32 B)",
    ]
    assert "src/deep/b.py" in await told(session, "list_files", pattern="src/**/b.py")
    assert (await told(session, "list_files", path="src", pattern="B.")).split()[0] == "deep/b.py"
    assert "No file below" in await told(session, "list_files", pattern="*.log")


async def test_text_is_found_with_file_and_line(session: Session, tmp_path: Path) -> None:
    tree()
    (tmp_path / "outside.md").write_text("needle")
    Path("link.md").symlink_to(tmp_path / "outside.md")
    found = await told(session, "search_files", text="needle")
    assert sorted(found.split("\n")) == [
        "notes.md:1: # Needle in notes.md",
        "src/a.py:1: # Needle in src/a.py",
        "src/deep/b.py:1: # Needle in src/deep/b.py",
    ]
    assert (await told(session, "search_files", text="needle", pattern="*.md")).count("\n") == 0
    assert await told(session, "search_files", text="other", path="notes.md") == "notes.md:2: other"
    assert "No line with 'absent'" in await told(session, "search_files", text="absent")
    assert "Say which text" in await told(session, "search_files", text="  ")
    # Not a pattern: what would be a catastrophic one is only text.
    assert "No line" in await told(session, "search_files", text="(a+)+$")


async def test_a_search_is_bounded(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("many.txt").write_text("needle " + "x" * 1000 + "\n" + ("needle\n" * 500))
    found = await told(session, "search_files", text="needle")
    assert found.count("many.txt:") == finding.MOST_FOUND
    assert "only the first 50 lines are shown" in found
    assert all(len(line) < 200 for line in found.split("\n"))
    monkeypatch.setattr(finding, "MOST_SEARCHED", 100)
    assert "1 too large to be searched" in await told(session, "search_files", text="needle")
    assert "many.txt:1" in await told(session, "search_files", text="needle", path="many.txt")
    monkeypatch.setattr(walking, "MOST", 1)
    Path("more.txt").touch()
    Path("most.txt").touch()
    assert "only the first 1 entries" in await told(session, "list_files", pattern="*.none")
