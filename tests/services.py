"""Services that the tests run in real child processes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from chatapp import Job, UsageError


class Counter:
    """Counts, fails, prints, and can be stopped."""

    def __init__(self) -> None:
        self.state = 0

    def add(self, job: Job, number: int) -> int:
        """Keep a sum, to see whether a process is a fresh one."""
        self.state += number
        return self.state

    def count(self, job: Job, until: int, pause: float = 0.0) -> Iterator[int]:
        """Yield 0, 1, 2 …; `state` says how far it came."""
        for number in range(until):
            self.state = number
            time.sleep(pause)
            yield number

    def emit(self, job: Job, values: list[str]) -> str:
        """Send values from inside a call."""
        for value in values:
            job.emit(value)
        return "sent"

    def patient(self, job: Job, begun: str) -> str:
        """Work that looks at its job now and then, and makes the file `begun` when it begins."""
        Path(begun).touch()
        while not job.cancelled:
            time.sleep(0.01)
        self.state = -1
        return "cancelled"

    def fail(self, job: Job, kind: str) -> None:
        """Raise something of ours, or something else."""
        if kind == "ours":
            raise UsageError("Give a number.")
        raise ValueError("not a number")

    def noise(self, job: Job) -> str:
        """Print where a native library would."""
        print("to standard output", flush=True)
        os.write(1, b"to descriptor one\n")
        sys.stderr.write("to standard error\n")
        sys.stderr.flush()
        return sys.stdin.read()

    def large(self, job: Job, size: int) -> bytes:
        """More than a pipe holds."""
        return b"x" * size

    def crash(self, job: Job) -> None:
        """Abort, as native code does."""
        os.abort()

    def burn(self, job: Job) -> Iterator[int]:
        """Keep a processor busy for good; yields the loops done so far."""
        done = 0
        while not job.cancelled:
            for _ in range(100_000):
                done += 1
            yield done
