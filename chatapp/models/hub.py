"""The Hugging Face hub as a source, through `huggingface_hub` in a child process.

A child can be killed in the middle of a name look-up or a stalled read, which no thread can; and the library's memory
and start-up time stay out of the interface.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatapp.models.children import child
from chatapp.models.files import is_sha256
from chatapp.models.sources import Job, SourceFailed

ANSWER_SECONDS = 4.0
"""How long the hub may take to say what the file is, name look-up and redirects included; with the start of the child
the next source is tried in under five seconds. ``HF_HUB_ETAG_TIMEOUT``, the library's own variable, overrides it."""

START_SECONDS = 30.0
"""How long the child may take to import the library, from a cold and slow disk."""


@dataclass(frozen=True, slots=True)
class HubFile:
    """`file` of the hub's `repository` ("owner/name") at `revision` (a branch, tag or commit)."""

    repository: str
    file: str
    revision: str = "main"

    @property
    def name(self) -> str:
        """How a message calls it."""
        return f"the hub repository {self.repository}"

    @property
    def network(self) -> bool:
        """Always over the network."""
        return True

    async def fetch(self, job: Job) -> AsyncGenerator[int, None]:
        """Ask what the file is, check that against the catalogue, then download the rest; see `Source.fetch`."""
        _require_library()
        async with self._child(job) as process:
            metadata = await _metadata(process)
            size, sha256 = metadata.get("size"), metadata.get("etag")
            if not isinstance(size, int) or not is_sha256(sha256):
                raise SourceFailed("it states no SHA-256 for this file, so the download could not be verified")
            job.settle(size, str(sha256))
            start = _resume(job, str(sha256))
            job.reserve(size - start)
            yield start
            await _send(process, start)
            while "end" not in (message := await _next(process)):
                yield int(message["done"])

    @asynccontextmanager
    async def _child(self, job: Job) -> AsyncIterator[Process]:
        script = Path(__file__).with_name("hub_child.py")
        log = job.partial.with_name(f"{job.partial.name}.log")
        command = [sys.executable, "-P", str(script), self.repository, self.file, self.revision, str(job.partial)]
        # Besides being nobody's business, the library's telemetry asks the hub a question first, which may take 3 s.
        env = {"HF_HUB_DISABLE_TELEMETRY": "1"}
        with log.open("w+b") as stderr:
            async with child(*command, env=env, stdin=PIPE, stdout=PIPE, stderr=stderr) as process:
                try:
                    yield process
                except EOFError as error:
                    stderr.seek(0)
                    last = stderr.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
                    raise SourceFailed(
                        f"the download stopped unexpectedly ({last[:200] or 'no reason given'})"
                    ) from error


def _require_library() -> None:
    from importlib.util import find_spec

    if find_spec("huggingface_hub") is None:
        raise SourceFailed("huggingface_hub is not installed (pip install 'chatapp[hub]' would)")


def _resume(job: Job, sha256: str) -> int:
    """Keep what is there of the same file, and return how much that is."""
    start = job.on_disk if job.resume({"sha256": sha256}) else 0
    start = start if start <= (job.size or 0) else 0
    job.cut(start)
    job.note({"sha256": sha256})
    return start


def answer_seconds() -> float:
    """How long to wait for the hub's first answer."""
    try:
        return float(os.environ["HF_HUB_ETAG_TIMEOUT"])
    except (KeyError, ValueError):
        return ANSWER_SECONDS


async def _metadata(process: Process) -> dict[str, Any]:
    try:
        async with asyncio.timeout(START_SECONDS):
            await _next(process)
        async with asyncio.timeout(answer_seconds()):
            return await _next(process)
    except TimeoutError as error:
        raise SourceFailed(f"it did not answer within {answer_seconds():g} s") from error


async def _send(process: Process, start: int) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(b"%d\n" % start)
        await process.stdin.drain()
    except ConnectionError as error:
        raise EOFError from error


async def _next(process: Process) -> dict[str, Any]:
    """The child's next message.

    Raises `SourceFailed` where that is an error, `OSError` where the file cannot be written, `EOFError` where the
    child is gone.
    """
    assert process.stdout is not None
    while line := await process.stdout.readline():
        if line.startswith(b'{"'):
            message: dict[str, Any] = json.loads(line)
            if "error" in message:
                raise SourceFailed(message["error"])
            if "errno" in message:
                raise OSError(message["errno"], os.strerror(message["errno"]))
            return message
    raise EOFError
