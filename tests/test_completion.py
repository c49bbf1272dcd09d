"""What may come next in a line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import pytest

from chatapp.actions import action
from chatapp.completion import MOST, complete, files
from chatapp.hookspecs import hookimpl
from chatapp.session import Session
from chatapp.testing import RecordingUI


def _names(session: Session, prefix: str) -> Iterable[str]:
    return ["ada", "alan", "grace hopper"]


class Plugin:
    """Commands with every kind of argument."""

    @hookimpl
    def actions(self) -> Iterable[object]:
        """Two commands, one beginning like the other."""

        @action("greet")
        async def greet(
            session: Session,
            name: Annotated[str, "Whom", _names],
            how: Literal["warmly", "coolly"] = "warmly",
            *,
            loud: bool = False,
            file: Annotated[Path | None, "Where to"] = None,
        ) -> None:
            """Greet someone."""

        @action("greet all")
        async def everyone(session: Session) -> None:
            """Greet everyone."""

        return [greet, everyone]


@pytest.fixture
def greeting(session: Session) -> Session:
    """A session that has the commands."""
    session.host.add("greeting", Plugin())
    return session


def texts(session: Session, before: str, cwd: Path) -> list[str]:
    """The whole line with each candidate taken."""
    return [before[: each.start] + each.text for each in complete(session, before, cwd)]


async def test_commands_then_arguments(greeting: Session, tmp_path: Path) -> None:
    assert texts(greeting, "/gre", tmp_path) == ["/greet ", "/greet all"]
    assert texts(greeting, "/EET", tmp_path) == ["/greet ", "/greet all"]
    assert texts(greeting, "/greet a", tmp_path) == [
        "/greet all",
        "/greet ada ",
        "/greet alan ",
        '/greet "grace hopper" ',
    ]
    assert texts(greeting, "/greet gr", tmp_path) == ['/greet "grace hopper" ']
    assert texts(greeting, '/greet "gra', tmp_path) == ['/greet "grace hopper" ']
    assert texts(greeting, "/greet ada c", tmp_path) == ["/greet ada coolly "]
    assert texts(greeting, "/greet ada warmly --", tmp_path) == [
        "/greet ada warmly --loud ",
        "/greet ada warmly --file ",
    ]
    assert texts(greeting, "/nothing", tmp_path) == []


async def test_a_command_that_takes_nothing_is_final(greeting: Session, tmp_path: Path) -> None:
    found = {each.label.split(" [")[0]: each.final for each in complete(greeting, "/greet", tmp_path)}
    assert found["/greet all"]
    assert not found["/greet NAME"]


async def test_an_argument_not_begun_is_not_taken_unasked(greeting: Session, tmp_path: Path) -> None:
    assert not any(each.sure for each in complete(greeting, "/greet ada ", tmp_path))
    assert all(each.sure for each in complete(greeting, "/greet ada w", tmp_path))


async def test_options_that_take_files(greeting: Session, tmp_path: Path) -> None:
    (tmp_path / "out.txt").touch()
    (tmp_path / "output").mkdir()
    assert texts(greeting, "/greet ada warmly --file ou", tmp_path) == [
        "/greet ada warmly --file out.txt ",
        "/greet ada warmly --file output/",
    ]


async def test_mentions(session: Session, tmp_path: Path) -> None:
    cwd = tmp_path / "work"
    (cwd / "a dir").mkdir(parents=True)
    (cwd / "a dir" / "b.txt").touch()
    (cwd / ".hidden").touch()
    assert texts(session, "see @", cwd) == ['see @"a dir/']
    assert texts(session, 'see @"a dir/', cwd) == ['see @"a dir/b.txt" ']
    assert texts(session, "see @.h", cwd) == ["see @.hidden "]
    assert texts(session, "mail me@", cwd) == []
    assert texts(session, "see @a b", cwd) == []


async def test_plugins_let_one_mention_more_than_files(session: Session, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    given = ["notes:today", "notes:a b", 'notes:"', "notes:\x1b[31m", "notes:two\nlines", "wiki:", "other"]
    session.host.mentions["notes"] = lambda session, prefix: given
    assert texts(session, "see @no", tmp_path) == ["see @notes:today ", 'see @"notes:a b" ', "see @notes.txt "]
    assert texts(session, 'see @"notes:a', tmp_path) == ['see @"notes:a b" ']
    assert texts(session, "see @wi", tmp_path) == ["see @wiki:"], "what follows it is still to be typed"
    session.host.mentions["many"] = lambda session, prefix: map(str, range(1000))
    assert "see @notes.txt " in texts(session, "see @", tmp_path), "there is room for files"


async def test_a_plugin_that_fails_at_a_mention_is_named_and_files_are_still_found(
    session: Session, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").touch()

    def fail(session: Session, prefix: str) -> Iterable[str]:
        yield "notes:today"
        raise ValueError("no notes")

    session.host.add("notes", Plugin())
    session.host.mentions["notes"] = fail
    assert texts(session, "see @no", tmp_path) == ["see @notes.txt "]
    assert isinstance(session.ui, RecordingUI)
    assert "The plugin 'notes' failed in completion: ValueError: no notes" in session.ui.notices[0][1]


def test_files_deeper_down_come_after_those_near(tmp_path: Path) -> None:
    (tmp_path / "src" / "pkg").mkdir(parents=True)
    (tmp_path / "node_modules").mkdir()
    for name in ("main.txt", "src/domain.py", "src/pkg/main.py", "node_modules/main.js"):
        (tmp_path / name).touch()
    assert list(files("main", tmp_path)) == ["main.txt", "src/domain.py", "src/pkg/main.py"]
    assert list(files("../", tmp_path / "src"))[-1] == "../src/"
    assert list(files("no/such/", tmp_path)) == []


def test_a_huge_folder_is_bounded(tmp_path: Path) -> None:
    for number in range(MOST * 3):
        (tmp_path / f"file{number:04}").touch()
    (tmp_path / "bad\x1bname").touch()
    from chatapp.testing import make_host

    session = Session(make_host(tmp_path / "home"))
    found = complete(session, "@fi", tmp_path)
    assert len(found) == MOST
    assert "bad" not in " ".join(files("", tmp_path))
