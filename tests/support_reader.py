"""A reader of documents that does as it is told, and the plugin that offers it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from chatapp import EngineConfig, EngineInfo, EngineSpec, Host, Progress, Report, Source, UsageError, hookimpl
from chatapp.errors import EngineError

BINARY = b"%PDF-1.7\n\x00\xff"


@dataclass(slots=True)
class ScriptedReader:
    """A reader, and the plugin that offers it. `texts` says what is in which file; others it cannot read."""

    texts: dict[str, str] = field(default_factory=dict)
    waits: asyncio.Event | None = None
    began: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: int = 0
    failure: str = ""
    closed: bool = False

    @property
    def info(self) -> EngineInfo:
        """A reader without a model."""
        return EngineInfo("scripted", "", 0)

    async def read(self, path: Path) -> Source:
        """The text it was told, once it may go on."""
        self.began.set()
        try:
            if self.waits is not None:
                await self.waits.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        if path.name not in self.texts:
            raise UsageError(f"{path.name} needs a password.")
        return Source("a title of its own", self.texts[path.name], locator="3 pages")

    async def tune(self, config: EngineConfig) -> bool:
        """Takes on anything."""
        return True

    async def close(self) -> None:
        """Notes that it was closed."""
        self.closed = True

    @hookimpl
    def engines(self) -> Iterable[EngineSpec]:
        """One engine of the kind "reader"."""

        async def open_reader(host: Host, config: EngineConfig, report: Report) -> ScriptedReader:
            report(Progress("Opening the reader"))
            if self.failure:
                raise EngineError(self.failure)
            return self

        yield EngineSpec("scripted-reader", open_reader, "reader")


def document(folder: Path, name: str, data: bytes = BINARY) -> tuple[Path, str]:
    """A file that is no text, and how it is written in a message."""
    (folder / name).write_bytes(data)
    return folder / name, name
