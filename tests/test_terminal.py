"""The chat in a real terminal (tmux, 80 by 24) with the real model: typing, stopping, dying, and leaving it sane."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.support_cli import CHATAPP, PATIENCE, environment, latest

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
STORY = "Write a very long story about a ship and the sea, at least two thousand words."
NUMBERS = itertools.count()


class Tmux:
    """A terminal of 80 by 24 with a shell in it, on a tmux server of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._name = f"chatapp-test-{os.getpid()}-{next(NUMBERS)}"
        self._run("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", "env PS1='$ ' /bin/sh")

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._name, *words],
            capture_output=True, text=True, env=environment(self.home, TERM="xterm-256color"), timeout=PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def type(self, text: str) -> None:
        """Type this text, without Enter."""
        self._run("send-keys", "-l", text)

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: Enter, Escape, C-q."""
        self._run("send-keys", *keys)

    def shell(self, line: str) -> None:
        """Type a line at the shell."""
        self.type(line)
        self.press("Enter")

    @property
    def screen(self) -> str:
        """What is on the screen."""
        return self._run("capture-pane", "-p")

    @property
    def alternate(self) -> bool:
        """Whether a program holds the alternate screen."""
        return self._run("display-message", "-p", "#{alternate_on}").strip() == "1"

    @property
    def shell_pid(self) -> int:
        """The shell's process."""
        return int(self._run("display-message", "-p", "#{pane_pid}"))

    def until(self, true: Callable[[], object], what: str) -> None:
        """Wait until something holds; show the screen when it does not come true."""
        end = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < end, f"{what} did not come:\n{self.screen}"
            time.sleep(0.05)

    def shows(self, pattern: str) -> None:
        """Wait until the screen shows this."""
        self.until(lambda: re.search(pattern, self.screen), pattern)

    def close(self) -> None:
        """End the server."""
        self._run("kill-server")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for all: the model is read whole and checked only once."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def tmux(home: Path, model_path: Path) -> Iterator[Tmux]:
    """A terminal in which the chat has just been started."""
    terminal = Tmux(home)
    try:
        terminal.shell(f"{shlex.quote(CHATAPP)} --model {shlex.quote(str(model_path))}")
        terminal.shows("Ask anything")
        yield terminal
    finally:
        terminal.close()


def app_of(tmux: Tmux) -> psutil.Process:
    """The chat's process."""
    (app,) = psutil.Process(tmux.shell_pid).children()
    return app


def ask(tmux: Tmux, text: str) -> None:
    """Type a message and send it."""
    tmux.type(text)
    tmux.press("Enter")


def writing(tmux: Tmux) -> None:
    """Wait until an answer is under way."""
    tmux.shows("Writing")


def test_a_question_is_answered_and_leaving_leaves_the_terminal_sane(tmux: Tmux, home: Path) -> None:
    ask(tmux, "What is the capital of France?")
    tmux.shows(r"The capital of France is Paris\.")
    tmux.shows(r"\d+/4\.1k +\d+(\.\d)? tok/s")
    assert tmux.alternate
    tmux.press("C-q")
    tmux.until(lambda: not psutil.Process(tmux.shell_pid).children(), "the end")
    assert not tmux.alternate
    tmux.shell("stty -a; echo code $?")
    tmux.shows("code 0")
    settings = tmux.screen.split()
    assert {"icanon", "echo", "isig"} <= set(settings)
    assert [message.role for message in latest(home).path()] == ["user", "assistant"]


def test_escape_stops_an_answer_and_what_came_is_kept(tmux: Tmux, home: Path) -> None:
    ask(tmux, STORY)
    writing(tmux)
    (engine,) = app_of(tmux).children()
    tmux.until(lambda: engine.cpu_times().user > 0, "work")
    tmux.press("Escape")
    tmux.until(lambda: "Writing" not in tmux.screen and "Stopping" not in tmux.screen, "the stop")
    answer = list(latest(home).path())[-1]
    assert answer.meta["finished"] == "stopped"
    assert answer.text
    ask(tmux, "What is two plus two?")
    tmux.until(lambda: len(latest(home)) == 4 and "Writing" not in tmux.screen, "the next answer")
    assert app_of(tmux).children() == [engine], "the engine that was stopped goes on"


def test_an_engine_that_is_killed_is_told_and_the_next_message_is_answered(tmux: Tmux, home: Path) -> None:
    ask(tmux, STORY)
    writing(tmux)
    (engine,) = app_of(tmux).children()
    engine.kill()
    tmux.shows("ended by SIGKILL")
    ask(tmux, "/new")
    tmux.shows("an assistant on your own computer")
    ask(tmux, "What is the capital of France?")
    tmux.shows(r"The capital of France is Paris\.")
    assert app_of(tmux).children() != [engine]


def test_killing_the_chat_leaves_no_process_and_no_lost_message(tmux: Tmux, home: Path) -> None:
    ask(tmux, STORY)
    writing(tmux)
    app = app_of(tmux)
    children = app.children(recursive=True)
    assert children
    os.kill(app.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert alive == []
    assert next(latest(home).path()).text == STORY
