"""Where the bytes of a model come from: what every source promises, and the simplest one, a local file."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from chatapp.errors import ModelError
from chatapp.models.files import CHUNK, finish, read_json, write_json


class SourceFailed(ModelError):
    """A source that cannot deliver; its text is a clause that says why, and the next source is tried."""


class DiskFull(ModelError):
    """There is too little room for the file, whoever serves it."""


@dataclass(slots=True)
class Job:
    """One file to fetch into `partial`, which may hold bytes of an earlier attempt by the same source.

    `size` (bytes) and `sha256` are None while nobody has stated them; a source that learns them fills them in by
    `settle`. `reserve` is told how many more bytes will be written and raises `DiskFull` where they do not fit.
    """

    partial: Path
    size: int | None
    sha256: str | None
    reserve: Callable[[int], None]

    def settle(self, size: int, sha256: str) -> None:
        """Take what a source states, and refuse it where it contradicts what is known."""
        if self.sha256 not in (None, sha256):
            raise SourceFailed("it now serves another file than the catalogue names (the SHA-256 differs)")
        if self.size not in (None, size):
            raise SourceFailed(f"it serves {size:,} bytes where the catalogue names {self.size:,}")
        self.size, self.sha256 = size, sha256

    @property
    def on_disk(self) -> int:
        """Bytes that `partial` holds now."""
        return self.partial.stat().st_size if self.partial.exists() else 0

    def resume(self, tag: dict[str, Any]) -> dict[str, Any]:
        """What the last attempt wrote down with `note` if it fetched the same thing; else an empty dictionary."""
        state = read_json(self._state) or {}
        return state if all(state.get(key) == value for key, value in tag.items()) else {}

    def note(self, state: dict[str, Any]) -> None:
        """Write down beside `partial`, atomically, what a resumed attempt must know."""
        write_json(self._state, state)

    def cut(self, size: int) -> None:
        """Make `partial` exist with exactly its first `size` bytes."""
        # "ab" creates the file where it is missing and, unlike "wb", keeps what is in it.
        with self.partial.open("ab") as file:
            file.truncate(size)

    @property
    def _state(self) -> Path:
        return self.partial.with_name(f"{self.partial.name}.json")


class Source(Protocol):
    """Somewhere to fetch a model's file from; the caller verifies what arrived."""

    @property
    def name(self) -> str:
        """How a message calls it."""

    @property
    def network(self) -> bool:
        """Whether it needs the network, which ``--offline`` forbids."""

    def fetch(self, job: Job) -> AsyncGenerator[int, None]:
        """Bring `job.partial` to its full size, yielding its size in bytes from time to time.

        Raises `SourceFailed` and leaves what it has for the next attempt. Closing the generator stops at once.
        """


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file on this machine or a mounted share; it is copied."""

    path: Path

    @property
    def name(self) -> str:
        """How a message calls it."""
        return f"the file {self.path}"

    @property
    def network(self) -> bool:
        """A mounted share is the operating system's business, not ours."""
        return False

    async def fetch(self, job: Job) -> AsyncGenerator[int, None]:
        """Copy what is missing; see `Source.fetch`."""
        try:
            size = self.path.stat().st_size
        except OSError as error:
            raise SourceFailed(f"{error.strerror}") from error
        if job.size not in (None, size):
            raise SourceFailed(f"it has {size:,} bytes where {job.size:,} are expected")
        job.size = size
        done = min(job.on_disk, size)
        job.cut(done)
        job.reserve(size - done)
        yield done
        with self.path.open("rb") as source, job.partial.open("r+b") as target:
            source.seek(done)
            target.seek(done)
            while step := await finish(_copy, source, target):
                done += step
                yield done


def _copy(source: Any, target: Any) -> int:
    return int(target.write(source.read(CHUNK)))
