"""Whole documents attached to one message: PDF and office files, read as text for whoever asks."""

from __future__ import annotations

from pathlib import Path

from chatapp import EngineConfig, EngineInfo, Host, Source, UsageError, human_bytes, visible
from chatapp_rag.library import library

LARGEST = 1_000_000
"""Characters of the longest text that is attached; a model reads far less than that."""


class DocumentReader:
    """An engine of the kind "reader": the reader that fills the index, without the index."""

    def __init__(self, host: Host, config: EngineConfig) -> None:
        self._host, self._config = host, config

    @property
    def info(self) -> EngineInfo:
        """There is no model behind it."""
        return EngineInfo("documents", "", 0)

    async def read(self, path: Path) -> Source:
        """The whole text of the file; UsageError in one sentence when it has none or too much."""
        _, text, reason = await library(self._host).reader.text(str(path))
        name = visible(path.name)
        if reason:
            raise UsageError(f"{name} cannot be attached: it {reason}.")
        if len(text) > LARGEST:
            raise UsageError(
                f"The text of {name} is {human_bytes(len(text))}, too much to attach (at most {human_bytes(LARGEST)}): "
                "`/rag add` it and ask about it."
            )
        return Source(name.replace('"', "'"), text, str(path.absolute()))

    async def tune(self, config: EngineConfig) -> bool:
        """Every configuration is as good."""
        return True

    async def close(self) -> None:
        """The child process is the library's."""
