"""`chatapp --plain` at a terminal of its own: a linear chat that a screen reader or a dumb terminal can follow."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support_cli import Terminal, add_endless, latest, on_terminal

PROMPT = r"(^|\n)> $"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the chats with the real model: it is read whole and checked only by the first."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def chat(tmp_path: Path) -> Iterator[Terminal]:
    """A chat with the endless engine, ready for its first line."""
    add_endless(tmp_path)
    with on_terminal(tmp_path, "--plain", "--model", "endless") as terminal:
        terminal.wait_for(PROMPT)
        yield terminal


def test_a_dumb_terminal_gets_the_linear_chat_with_real_answers(home: Path, model_path: Path) -> None:
    with on_terminal(home, "--model", model_path, TERM="dumb") as terminal:
        greeting = terminal.wait_for(PROMPT)
        assert "Type a message and press Enter" in greeting
        terminal.type("/set temperature 0\n")
        terminal.wait_for(r"temperature +0(\.0)? .*\s+> $")
        terminal.type("What is the capital of France?\n")
        answer = terminal.wait_for(r"\n> $")
        assert "The capital of France is Paris.\r\n" in answer
        assert answer.count("Loading the model") <= 2, "progress is told now and then, not on every step"
        terminal.type("\x04")
        assert terminal.end() == 0
        assert "\x1b" not in terminal.seen
        assert "\r" not in terminal.seen.replace("\r\n", "")
    assert [message.role for message in latest(home).path()] == ["user", "assistant"]


def test_an_engine_that_dies_is_told_and_the_next_message_is_answered(home: Path, model_path: Path) -> None:
    with on_terminal(home, "--plain", "--model", model_path) as terminal:
        terminal.wait_for(PROMPT)
        terminal.type("Write a very long story about a ship and the sea.\n")
        terminal.wait_for(r"\n[^>\n\r]{40}")
        (child,) = psutil.Process(terminal.process.pid).children()
        child.kill()
        terminal.wait_for(r"The llama process was ended by SIGKILL; .*\s+> $")
        terminal.type("What is the capital of France?\n")
        assert "Paris" in terminal.wait_for(r"\n> $")
        terminal.type("/quit\n")
        assert terminal.end() == 0


def test_control_c_stops_the_answer_and_not_the_chat(chat: Terminal, tmp_path: Path) -> None:
    for _ in range(2):
        chat.type("Count.\n")
        chat.wait_for(r"0 1 2 3 ")
        chat.type("\x03")
        assert "Stopped; what came so far is kept." in chat.wait_for(r"kept\.\s+> $")
    chat.insist("\x03", r"\s+> $")
    chat.type("offline?\n")
    assert "False" in chat.wait_for(r"\n> $")
    chat.type("/exit\n")
    assert chat.end() == 0
    stopped = [message for message in latest(tmp_path).path() if message.meta.get("finished") == "stopped"]
    assert len(stopped) == 2
    assert all(message.text.startswith("0 1 2 3 ") for message in stopped)


def test_slash_lines_run_commands_and_mistakes_are_one_sentence(chat: Terminal) -> None:
    chat.type("/help sessions list\n")
    assert "/sessions list [--limit LIMIT]" in chat.wait_for(r"\n> $")
    chat.type("/sesions list\n")
    assert "Did you mean /sessions list?" in chat.wait_for(r"\n> $")
    chat.type("/set temperature hot\n")
    assert "temperature: input should be a valid number" in chat.wait_for(r"\n> $")
    chat.type("offline?\n")
    chat.wait_for(r"\n> $")
    chat.type("/sent\n")
    assert "Instruction" in chat.wait_for(r"\n> $")
    chat.type("/retry\n")
    assert "False" in chat.wait_for(r"\n> $")
    chat.type("/branch previous\n")
    assert "Version 1 of 2" in chat.wait_for(r"\n> $")
    assert "Traceback" not in chat.seen


def test_what_a_model_says_is_shown_and_not_obeyed(chat: Terminal) -> None:
    chat.type("hostile\n")
    shown = chat.wait_for(r"\n> $")
    assert "red ␛[31m and \\x9b2J" in shown
    assert "a ␛[31mnotice" in shown
    assert "\x1b" not in chat.seen


def test_what_an_answer_cites_is_listed_after_it(chat: Terminal) -> None:
    chat.type("cite\n")
    shown = chat.wait_for(r"\n> $").replace("\r", "")
    assert shown.endswith("They purr [1][2].\n[1] report.pdf, page 3\n[2] notes␛[31m.md\n> ")


def test_a_file_named_in_the_line_is_attached(chat: Terminal, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("The tide turns at six.")
    chat.type(f"offline? @{note}\n")
    chat.wait_for(r"0 1 2 ")
    chat.type("\x03")
    chat.wait_for(r"kept\.\s+> $")
    question = next(latest(tmp_path).path())
    assert [part.text for part in question.parts if part.kind == "source"] == ["The tide turns at six."]


def test_without_a_model_the_recommended_one_is_offered(tmp_path: Path) -> None:
    with on_terminal(tmp_path, "--plain", "--offline") as terminal:
        offer = terminal.wait_for(r"Download it now\? \[y/N\] ")
        assert "is recommended for this machine" in offer
        terminal.type("\n")
        assert "/models pull" in terminal.wait_for(r"\n> $")
        terminal.type("hello\n")
        assert "is not downloaded: run `chatapp models pull" in terminal.wait_for(r"\n> $")
        terminal.type("\x04")
        assert terminal.end() == 0
    with on_terminal(tmp_path, "--plain", "--offline") as terminal:
        terminal.wait_for(r"Download it now\? \[y/N\] ")
        terminal.type("yes\n")
        assert "--offline forbids it" in terminal.wait_for(r"\n> $")


def test_a_conversation_goes_on_where_it_was(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with on_terminal(tmp_path, "--plain", "--model", "echo", *(["-c"] if text == "second" else [])) as terminal:
            shown = terminal.wait_for(PROMPT)
            terminal.type(f"{text}\n")
            terminal.wait_for(rf"{text}\s+{text}\s+> $")
    assert "user: first\r\nassistant: first\r\n" in shown
    assert [message.text for message in latest(tmp_path).path()] == ["first", "first", "second", "second"]


def test_a_terminal_that_goes_away_ends_the_chat_and_keeps_what_came(home: Path, model_path: Path) -> None:
    with on_terminal(home, "--plain", "--model", model_path) as terminal:
        terminal.wait_for(PROMPT)
        terminal.type("Write a very long story about a ship and the sea.\n")
        terminal.wait_for(r"\n[^>\n\r]{40}")
        (child,) = psutil.Process(terminal.process.pid).children()
        os.kill(terminal.process.pid, signal.SIGHUP)
        assert terminal.end() != 0
        psutil.wait_procs([child], timeout=60)
        assert not child.is_running()
    assert next(latest(home).path()).text.startswith("Write a very long story")
