"""The terminal chat in a pseudo-terminal: the memory of its process, and how soon it takes input."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

import psutil

from tests.bench.figure import Figure

SIZE = (30, 100)
PATIENCE = 120.0
TYPED = "Ω"


class Terminal:
    """The chat on a pseudo-terminal of its own."""

    def __init__(self, model: Path, home: str) -> None:
        self.begun = time.perf_counter()
        self.pid, self._screen = pty.fork()
        if self.pid == 0:
            os.environ.update({"CHATAPP_HOME": home, "TERM": "xterm-256color", "COLORTERM": "truecolor"})
            os.execv(sys.executable, [sys.executable, "-m", "chatapp", "--model", str(model)])
        fcntl.ioctl(self._screen, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
        os.set_blocking(self._screen, False)
        self.text = b""

    def type(self, text: str) -> None:
        """Send keys."""
        os.write(self._screen, text.encode())

    def read(self) -> bytes:
        """What was drawn since."""
        try:
            new = os.read(self._screen, 1 << 16)
        except BlockingIOError:
            new = b""
        self.text += new
        return new

    def until(self, wanted: bytes) -> float:
        """Read until something is drawn; seconds since the start."""
        while wanted not in self.text:
            if time.perf_counter() - self.begun > PATIENCE:
                raise TimeoutError(f"{wanted!r} was not drawn.")
            self.read()
            time.sleep(0.005)
        return time.perf_counter() - self.begun

    def until_idle(self) -> None:
        """Read until the processes below have used no processor for a second: the answer is complete."""
        before, used = -1.0, 0.0
        while used > before + 0.05:
            before = used
            end = time.perf_counter() + 1
            while time.perf_counter() < end:
                self.read()
                time.sleep(0.02)
            used = sum(sum(each.cpu_times()[:2]) for each in psutil.Process(self.pid).children())

    def close(self) -> None:
        """Quit, and reap the process."""
        self.type("\x11")
        while os.waitpid(self.pid, os.WNOHANG)[0] == 0:
            self.read()
            time.sleep(0.02)
        os.close(self._screen)


def interface(model: Path) -> list[Figure]:
    """Resident memory after an answer, and the seconds until a typed word is on the screen."""
    with tempfile.TemporaryDirectory() as home:
        terminal = Terminal(model, home)
        try:
            terminal.until(b"sk anything")
            terminal.type(TYPED)
            taken = terminal.until(TYPED.encode())
            terminal.type("\x15Write a table of ten fruits, then a Python function.\r")
            terminal.until(b"tok/s")
            terminal.until_idle()
            process = psutil.Process(terminal.pid)
            memory = process.memory_info().rss / 1e6
        finally:
            terminal.close()
    return [
        Figure("memory of the interface process", memory, "MB", 150.0, at_least=False),
        Figure("start to the first typed word on the screen", taken, "s", 1.0, at_least=False),
    ]
