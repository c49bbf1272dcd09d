"""Fetching a model from the hub when it is first opened: the files a pipeline needs and no others, verified."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TypeVar

from chatapp import (
    FileLock,
    Host,
    ModelError,
    OfflineError,
    Progress,
    Report,
    Worker,
    WorkerError,
    human_bytes,
    write_private,
)
from chatapp_images.checking import INDEX, components_of, read_json
from chatapp_images.models import DONE, Chosen, disk_size
from chatapp_images.weights import PICKLED

Result = TypeVar("Result")
ANSWER_SECONDS = 10.0
"""How long the hub may take to say what a repository holds."""
POLL_SECONDS = 0.2
ENVIRONMENT = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    # Xet writes a file at its end only: nobody could see how far it is.
    "HF_HUB_DISABLE_XET": "1",
}
SMALL_FILES = (".json", ".txt", ".model")
SKIPPED = ("safety_checker", "feature_extractor", "image_encoder")


@dataclass(frozen=True, slots=True)
class Remote:
    """A file of a repository: its size in bytes, and its SHA-256 where the hub states it."""

    name: str
    size: int
    sha256: str


async def ensure(host: Host, chosen: Chosen, report: Report) -> None:
    """Make the chosen model's folder complete, fetched if need be; ModelError or OfflineError when that cannot be.

    Cancelling keeps what has arrived.
    """
    if chosen.here:
        return
    if not chosen.repository:
        raise ModelError(f"The model {chosen.name} is not in {chosen.path}: install chatapp again.")
    if host.offline:
        raise OfflineError(
            f"{chosen.label} is not downloaded, and --offline forbids it: run `chatapp image pull "
            f"{chosen.name}` once without --offline."
        )
    if find_spec("huggingface_hub") is None:
        raise ModelError("huggingface_hub, which downloads models, is not installed; pip install 'chatapp[hub]' would.")
    part = chosen.path.with_name(f"{chosen.path.name}.part")
    part.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(part.with_name(f"{part.name}.lock"))
    if not lock.try_acquire():
        raise ModelError(f"{chosen.label} is being downloaded by another chatapp: wait for it.")
    worker = host.workers.add("download", "chatapp_images.hub:Hub", ENVIRONMENT)
    try:
        await _download(worker, chosen, part, report)
    except OSError as error:
        raise ModelError(f"{chosen.label} could not be stored in {part} ({error.strerror or error}).") from error
    except WorkerError as error:
        raise _failed(chosen, str(error)) from error
    finally:
        await worker.close()
        lock.release()


async def _download(worker: Worker, chosen: Chosen, part: Path, report: Report) -> None:
    report(Progress(f"Looking for {chosen.label} on the hub"))
    await worker.call("start")
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            commit, rows = await worker.call("look", chosen.repository, chosen.revision)
    except TimeoutError:
        raise _failed(chosen, f"it did not answer within {ANSWER_SECONDS:g} s") from None
    except ModelError as error:
        raise _failed(chosen, str(error)) from error
    files = select([Remote(*row) for row in rows], chosen.repository, not chosen.beside)
    total = sum(file.size for file in files)
    _need_room(part, total, chosen)
    label = f"Downloading {chosen.label}"
    fetch = worker.call("fetch", chosen.repository, commit, [INDEX], str(part))
    await _growing(fetch, part, label, total, report)
    # What the index names is looked at before gigabytes are fetched for it.
    components_of(read_json(part / INDEX), f"{chosen.repository}/{INDEX}")
    fetch = worker.call("fetch", chosen.repository, commit, [file.name for file in files], str(part))
    await _growing(fetch, part, label, total, report)
    report(Progress(f"Checking {chosen.label}", total, total, "bytes"))
    await asyncio.to_thread(_install, part, chosen, commit, files)


def select(files: Sequence[Remote], repository: str, weights: bool = True) -> list[Remote]:
    """The files a pipeline needs: configurations, tokenizers and safetensors, in half precision where all have it."""
    held = {file.name: file for file in files}
    if INDEX not in held:
        raise ModelError(f"The hub repository {repository} holds no diffusers model (no {INDEX}): choose another one.")
    parts: dict[str, list[Remote]] = {}
    for file in files:
        path = PurePosixPath(file.name)
        if len(path.parts) == 2 and path.parts[0] not in SKIPPED and ".." not in path.parts:
            parts.setdefault(path.parts[0], []).append(file)
    small = [file for each in parts.values() for file in each if file.name.endswith(SMALL_FILES)]
    found = _weights_of(parts, repository) if weights else []
    return [held[INDEX], *small, *found]


def _weights_of(parts: dict[str, list[Remote]], repository: str) -> list[Remote]:
    full: list[Remote] = []
    half: list[Remote] = []
    for name, each in parts.items():
        tensors = [file for file in each if file.name.endswith(".safetensors") and "non_ema" not in file.name]
        some = [file for file in tensors if ".fp16" in file.name]
        plain = [file for file in tensors if "." not in PurePosixPath(file.name).stem]
        if not tensors and any(file.name.endswith(PICKLED) for file in each):
            raise ModelError(
                f"The hub repository {repository} has its {name} pickled only, and reading a pickle runs whatever code "
                "is in it: choose a model with .safetensors files."
            )
        full += plain or some
        half += some or plain
    if not full:
        raise ModelError(f"The hub repository {repository} holds no .safetensors weights: choose another one.")
    return half


async def _growing(work: Awaitable[Result], folder: Path, label: str, total: int, report: Report) -> Result:
    """What `work` gives, while what it puts into `folder` is reported; cancelling cancels it."""
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait({task}, timeout=POLL_SECONDS))[0]:
            size = await asyncio.to_thread(_size, folder)
            report(Progress(label, min(size, total), total, "bytes"))
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})


def _size(folder: Path) -> int:
    """The bytes below a folder in which another process works: files come and go."""
    try:
        return disk_size(folder)
    except FileNotFoundError:
        return 0


def _need_room(part: Path, total: int, chosen: Chosen) -> None:
    missing, free = total - disk_size(part), shutil.disk_usage(part).free
    if missing > free:
        raise ModelError(
            f"{chosen.label} needs {human_bytes(missing)} on the disk of {part.parent} and {human_bytes(free)} are "
            "free: make room there, or set CHATAPP_HOME to a folder on a larger disk."
        )


def _install(part: Path, chosen: Chosen, commit: str, files: Sequence[Remote]) -> None:
    """Verify what arrived, say where it came from, and give the folder its name in one step."""
    for file in files:
        path = part / file.name
        wrong = path.stat().st_size != file.size if not file.sha256 else _sha256(path) != file.sha256
        if wrong:
            path.unlink()
            raise _failed(chosen, f"its {file.name} is not what the hub announced and was deleted")
    origin = {"repository": chosen.repository, "commit": commit, "files": {file.name: file.sha256 for file in files}}
    shutil.rmtree(part / ".cache", ignore_errors=True)
    write_private(part / DONE, json.dumps(origin, indent=1))
    if chosen.path.exists():
        shutil.rmtree(chosen.path)
    part.replace(chosen.path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _failed(chosen: Chosen, why: str) -> ModelError:
    reason = " ".join(why.split())[:200].rstrip(".")
    other = "choose a folder in diffusers' layout" if chosen.beside else "name a folder that holds it"
    return ModelError(
        f"{chosen.label} could not be downloaded from the hub repository {chosen.repository}: {reason}. Try "
        f"again, or {other} in the setting images.model."
    )
