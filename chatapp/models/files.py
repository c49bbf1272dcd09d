"""Files on disk: atomic and durable writes, SHA-256 with progress, and what a GGUF looks like from outside."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
import threading
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any, TypeVar

from chatapp.errors import ModelError

CHUNK = 8 * 1024 * 1024
"""Bytes read or written in one step: about 20 ms of work, so that cancelling is felt at once."""

GGUF_MAGIC = b"GGUF"

Result = TypeVar("Result")


async def finish(work: Callable[..., Result], *arguments: object) -> Result:
    """Run `work` in a thread; when cancelled, wait for it before the cancellation goes on.

    A thread cannot be stopped, and one left behind would go on writing to a file that its lock no longer guards.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work, *arguments))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut; Windows has no such call and needs none."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(partial: Path, final: Path) -> None:
    """Give `partial` its `final` name: all of it or nothing, also when the power goes."""
    with partial.open("rb+") as file:
        os.fsync(file.fileno())
    partial.replace(final)
    sync_folder(final.parent)


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` in one atomic step; readers see the old file or the new one."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    temporary.write_text(json.dumps(value, indent=1, ensure_ascii=False), encoding="utf-8")
    publish(temporary, path)


def read_json(path: Path) -> dict[str, Any] | None:
    """The JSON object in `path`; None where the file is missing or holds anything else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file as 64 hexadecimal digits; blocks for about a second per GB."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Digest:
    """The SHA-256 of a file, computed off the event loop with progress."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._hash = hashlib.sha256()

    @property
    def hex(self) -> str:
        """64 hexadecimal digits; of what was read so far."""
        return self._hash.hexdigest()

    async def read(self) -> AsyncGenerator[int, None]:
        """Read the file, yielding the bytes done after each step."""
        done = 0
        with self.path.open("rb") as file:
            while step := await finish(self._step, file):
                done += step
                yield done

    def _step(self, file: Any) -> int:
        chunk = file.read(CHUNK)
        self._hash.update(chunk)
        return len(chunk)


def is_sha256(text: str | None) -> bool:
    """Whether `text` is a SHA-256 as 64 lower-case hexadecimal digits."""
    return text is not None and len(text) == 64 and set(text) <= set("0123456789abcdef")


def is_gguf(path: Path) -> bool:
    """Whether the file at `path` starts as a GGUF does."""
    with path.open("rb") as file:
        return file.read(4) == GGUF_MAGIC


def check_gguf(path: Path) -> None:
    """Raise `ModelError` with the reason unless `path` is a file that starts like a GGUF.

    Looks at the magic and the version only (specification: docs/gguf.md of ggml); damage further in is for the
    SHA-256 or the engine to find.
    """
    if not path.exists():
        raise ModelError(f"There is no file {path}: check the path.")
    if path.is_dir():
        raise ModelError(f"{path} is a folder: name the GGUF file in it.")
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror}): check its permissions.") from error
    if not head:
        raise ModelError(f"{path} is empty: download it again.")
    if head[:4] != GGUF_MAGIC:
        raise ModelError(f"{path} is not a GGUF model ({_looks_like(head)}): choose a file in GGUF format.")
    if len(head) < 8:
        raise ModelError(f"{path} ends after {len(head)} bytes: download it again.")


def _looks_like(head: bytes) -> str:
    if head.startswith(b"PK"):
        return "it is a ZIP archive"
    if head.startswith(b"version "):
        return "it is a Git LFS pointer, not the file itself"
    printable = all(byte in b"\t\n\r" or 32 <= byte < 127 for byte in head)
    return "it looks like text" if printable else "it does not start with the letters GGUF"
