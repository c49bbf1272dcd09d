"""The plain terminal: notices, questions where nobody can answer, progress, and text that is shown and not obeyed."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from chatapp import Data, Media, Part, Progress, Reasoning, Source, Text, ToolCall, ToolResult
from chatapp.ui import PlainUI, plain


class Screen(io.StringIO):
    """A text stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It says so."""
        return True


@pytest.fixture
def out() -> io.StringIO:
    """Standard output."""
    return io.StringIO()


@pytest.fixture
def err() -> Screen:
    """Standard error."""
    return Screen()


@pytest.fixture
def ui(out: io.StringIO, err: Screen, monkeypatch: pytest.MonkeyPatch) -> PlainUI:
    """A UI on these."""
    monkeypatch.setenv("TERM", "xterm")
    return PlainUI(out, err)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], object]]:
    """Makes standard input a real terminal at which this was typed."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "r", encoding="utf-8", closefd=True) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        yield lambda text: os.write(ours, text.encode())
    os.close(ours)


def test_notices_are_lines_on_standard_error(ui: PlainUI, out: io.StringIO, err: Screen) -> None:
    ui.notify("All is well.")
    ui.notify("Careful.", "warning")
    ui.notify("It broke.", "error")
    assert err.getvalue() == "All is well.\nWarning: Careful.\nError: It broke.\n"
    assert out.getvalue() == ""


def test_a_notice_stands_on_a_line_of_its_own(err: Screen) -> None:
    for screen, answer in ((Screen(), "One two\n"), (io.StringIO(), "One two")):
        ui = PlainUI(screen, err)
        screen.write("One two")
        ui.in_line = True
        ui.notify("Three words.")
        # A file takes the answer alone, to which the terminal's line does not belong.
        assert (screen.getvalue(), ui.in_line) == (answer, not screen.isatty())


def test_a_quiet_one_says_what_is_wrong_only(out: io.StringIO, err: Screen) -> None:
    ui = PlainUI(out, err, quiet=True)
    ui.notify("All is well.")
    ui.progress(Progress("Loading", 1, 2))
    ui.notify("Careful.", "warning")
    assert err.getvalue() == "Warning: Careful.\n"


async def test_where_nobody_can_answer_the_careful_answer_is_given(
    ui: PlainUI, err: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n1\nanything\n"))
    assert await ui.confirm("Delete all?") is False
    assert await ui.choose("Which?", ["a", "b"]) is None
    assert await ui.prompt("Name?", "default") is None
    assert sys.stdin.read() == "yes\n1\nanything\n", "what is piped in is left to whoever reads it"
    assert "Delete all?" not in err.getvalue()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("y\n", True), ("YES \n", True), ("n\n", False), ("\n", False), ("sure\n", False), ("\x04", False)],
)
async def test_only_yes_is_yes(
    ui: PlainUI, err: Screen, answer: Callable[[str], object], typed: str, meant: bool
) -> None:
    answer(typed)
    assert await ui.confirm("Go on?", "This takes\nlong.") is meant
    assert err.getvalue() == "Warning: This takes\nlong.\nGo on? [y/N] "


@pytest.mark.parametrize(
    ("typed", "chosen"), [("2\n", "second"), ("first\n", "first"), ("3\n", None), ("0\n", None), ("\n", None)]
)
async def test_a_choice_is_a_number_or_the_text(
    ui: PlainUI, err: Screen, answer: Callable[[str], object], typed: str, chosen: str | None
) -> None:
    answer(typed)
    assert await ui.choose("Which?", ["first", "second"]) == chosen
    assert err.getvalue() == "  1. first\n  2. second\nWhich? [1-2] "


async def test_an_empty_line_takes_the_default(ui: PlainUI, err: Screen, answer: Callable[[str], object]) -> None:
    answer("\nmine\n")
    assert await ui.prompt("Name?", "yours") == "yours"
    assert await ui.prompt("Name?", "yours") == "mine"
    assert err.getvalue() == "Name? [yours] Name? [yours] "


async def test_a_question_is_shown_and_not_obeyed(ui: PlainUI, err: Screen, answer: Callable[[str], object]) -> None:
    answer("\n")
    await ui.choose("Which \x1b[2J?", ["\x1b]0;title\x07"])
    ui.notify("a \x1b[31m\x9bnotice")
    ui.progress(Progress("\x1b[1A", 1, 2))
    assert "\x1b" not in err.getvalue()
    assert "\x9b" not in err.getvalue()
    assert "Which ␛[2J?" in err.getvalue()


def test_progress_rewrites_one_line_and_makes_way(ui: PlainUI, out: io.StringIO, err: Screen) -> None:
    ui.progress(Progress("Loading", 10, 100, "files"))
    ui.progress(Progress("Loading", 9, 100, "files"))
    assert err.getvalue() == "\rLoading: 10 of 100 files\rLoading: 9 of 100 files "
    ui.show(Text("done"))
    assert err.getvalue().endswith("\r" + " " * len("Loading: 9 of 100 files") + "\r")
    before = err.getvalue()
    ui.done()
    assert err.getvalue() == before, "there is no line to clear any more"
    assert out.getvalue() == "done\n"


def test_progress_is_nothing_for_a_log(out: io.StringIO) -> None:
    log = io.StringIO()
    PlainUI(out, log).progress(Progress("Loading", 1, 2))
    assert log.getvalue() == ""


def test_a_linear_terminal_is_told_now_and_then(out: io.StringIO, err: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    now = 100.0
    monkeypatch.setattr("chatapp.ui.time", SimpleNamespace(monotonic=lambda: now))
    ui = PlainUI(out, err)
    for done in range(60):
        now += 0.2
        ui.progress(Progress("Pulling", done, 60, "files"))
    ui.progress(Progress("Checking", 1, 2, "files"))
    lines = err.getvalue().splitlines()
    assert lines[0] == "Pulling: 0 of 60 files"
    assert lines[-1] == "Checking: 1 of 2 files"
    assert 3 <= len(lines) <= 5
    assert "\r" not in err.getvalue()


@pytest.mark.parametrize(
    ("part", "text"),
    [
        (Text("plain"), "plain"),
        (Reasoning("hm"), "(thought) hm"),
        (ToolCall("1", "dice", {"sides": 6}), "(calls dice {'sides': 6})"),
        (ToolResult("1", "dice", "four"), "(dice) four"),
        (Media("/a.png", "image/png", "a cat"), "/a.png  a cat"),
        (Media("/a.png", "image/png"), "/a.png"),
        (Source("Paper", "text", locator="page 3", number=2), "[2] Paper, page 3"),
        (Source("Paper", "text", locator="page 3"), "Paper, page 3"),
        (Source("Two\nlines\x1b", "text", number=0), "[0] Two lines␛"),
        (Data("rag.stats", {"n": 1}, "1 document"), "1 document"),
        (Data("rag.stats", {"n": 1}), "(rag.stats)"),
    ],
)
def test_every_part_has_a_plain_form(ui: PlainUI, out: io.StringIO, part: Part, text: str) -> None:
    assert plain(part) == text
    ui.show(part)
    assert out.getvalue() == f"{text}\n"
