"""One download from start to finish: lock, room on the disk, sources in turn, SHA-256, final name."""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from chatapp.errors import ModelError, OfflineError
from chatapp.events import Progress
from chatapp.models.files import Digest, is_gguf, publish
from chatapp.models.lock import FileLock
from chatapp.models.sources import DiskFull, Job, Source, SourceFailed
from chatapp.progress import human_bytes

LOCK_POLL_SECONDS = 0.2
HEADROOM = 200_000_000
"""Bytes left free beside the file at least, so that the rest of the system goes on."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to download: `size` (bytes) and `sha256` are None where only the source can tell."""

    name: str
    sources: tuple[Source, ...]
    size: int | None = None
    sha256: str | None = None
    kind: str = "gguf"


class Pull:
    """Downloads `wanted` into the store at `root`; afterwards `sha256` names the blob.

    `free` gives the free bytes of the disk that holds a folder. `done` is asked, once the lock is held, whether
    another process has finished the job meanwhile.
    """

    def __init__(
        self, wanted: Wanted, root: Path, *, offline: bool, free: Callable[[Path], int], done: Callable[[], bool]
    ) -> None:
        self.wanted, self.root, self.offline = wanted, root, offline
        self.sha256: str | None = None
        self._free, self._done = free, done
        self._folder = root / "partial" / wanted.name

    async def run(self) -> AsyncGenerator[Progress, None]:
        """Download, yielding progress; nothing is downloaded where another process did it first."""
        # By name and not by SHA-256, which only the hub can tell for some; a blob published twice is the same blob.
        lock = FileLock(self.root / "locks" / f"{self.wanted.name}.lock")
        while not lock.try_acquire():
            yield Progress(f"Waiting for another download of {self.wanted.name}")
            await asyncio.sleep(LOCK_POLL_SECONDS)
        try:
            for way in (self._from_disk, self._from_sources):
                if self.sha256 is None and not self._done():
                    async with aclosing(way()) as steps:
                        async for step in steps:
                            yield step
        except OSError as error:
            raise _explained(error, self.wanted.name) from error
        finally:
            lock.release()

    async def _from_disk(self) -> AsyncGenerator[Progress, None]:
        """Take the file from the trash, or from under another name, if it is still what it should be."""
        blob = self.root / "blobs" / f"sha256-{self.wanted.sha256}"
        for candidate in (blob, self.root / "trash" / blob.name):
            if self.sha256 is None and candidate.exists():
                digest = Digest(candidate)
                async with aclosing(digest.read()) as sizes:
                    async for size in sizes:
                        yield Progress(f"Checking {self.wanted.name}", size, self.wanted.size, "bytes")
                if digest.hex == self.wanted.sha256:
                    publish(candidate, blob)
                    self.sha256 = digest.hex

    async def _from_sources(self) -> AsyncGenerator[Progress, None]:
        sources = [source for source in self.wanted.sources if not (self.offline and source.network)]
        failures = []
        for number, source in enumerate(sources):
            try:
                async with aclosing(self._attempt(source, f"source{number}")) as steps:
                    async for step in steps:
                        yield step
                return
            except SourceFailed as error:
                failures.append(f"{source.name}: {error}")
        raise self._failed(failures)

    async def _attempt(self, source: Source, partial: str) -> AsyncGenerator[Progress, None]:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        job = Job(self._folder / partial, self.wanted.size, self.wanted.sha256, self._reserve)
        label = f"Downloading {self.wanted.name}"
        yield Progress(f"Looking in {source.name}")
        async with aclosing(source.fetch(job)) as sizes:
            async for size in sizes:
                yield Progress(label, size, job.size, "bytes")
        yield Progress(label, job.on_disk, job.size, "bytes")
        async with aclosing(self._verify(job)) as steps:
            async for step in steps:
                yield step
        # All of it: what other sources left half done is of no use any more.
        shutil.rmtree(self._folder)

    async def _verify(self, job: Job) -> AsyncGenerator[Progress, None]:
        """Hash the file as it lies on the disk, not as it streamed by, and publish it under its SHA-256."""
        digest = Digest(job.partial)
        async with aclosing(digest.read()) as sizes:
            async for size in sizes:
                yield Progress(f"Checking {self.wanted.name}", size, job.size, "bytes")
        if digest.hex != job.sha256:
            job.partial.unlink()
            raise SourceFailed("what it sent does not have the SHA-256 it should have, so it was deleted")
        if self.wanted.kind == "gguf" and not is_gguf(job.partial):
            job.partial.unlink()
            raise SourceFailed("what it serves is not a GGUF model, so it was deleted")
        publish(job.partial, self.root / "blobs" / f"sha256-{digest.hex}")
        self.sha256 = digest.hex

    def _reserve(self, count: int) -> None:
        free, needed = self._free(self.root), count + max(HEADROOM, count // 20) if count else 0
        if needed > free:
            raise DiskFull(
                f"{self.wanted.name} needs {human_bytes(needed)} on the disk of {self.root} and only "
                f"{human_bytes(free)} are free: make room there, or set CHATAPP_HOME to a folder on a larger disk."
            )

    def _failed(self, failures: list[str]) -> ModelError:
        name = self.wanted.name
        if failures:
            return ModelError(f"{name} could not be downloaded from {'; nor from '.join(failures)}.")
        if self.wanted.sources:
            return OfflineError(
                f"{name} is not downloaded, and --offline forbids it: run `chatapp models pull {name}`."
            )
        return ModelError(f"The catalogue names no source for {name}: add the file with `chatapp models add FILE`.")


def _explained(error: OSError, name: str) -> ModelError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"The disk is full: make room and run `chatapp models pull {name}` again, it resumes.")
    return ModelError(f"{name} could not be stored: {error.strerror or error} ({error.filename or 'unknown file'}).")
