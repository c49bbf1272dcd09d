"""What the tests of examples share: a toy embedder, and sets on disk."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import chatapp_fewshot
from chatapp import (
    EngineConfig,
    EngineError,
    EngineInfo,
    EngineSpec,
    Host,
    Report,
    Session,
    Vectors,
    commands,
    hookimpl,
)
from chatapp.testing import RecordingUI, make_host
from tests.support_plugins import started

TOPICS = ("money", "parcel", "password")
FEW = [
    ("Give me my money back", "B4"),
    ("The parcel is late", "K9"),
    ("I forgot my password", "M2"),
    ("More money was taken than agreed", "B4"),
    ("A parcel for my neighbour came", "K9"),
]


class ToyEmbedder:
    """Vectors that say which of `TOPICS` a text names; counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.failing = ""

    @property
    def info(self) -> EngineInfo:
        """A model called toy."""
        return EngineInfo("toy", "toy", 256)

    async def embed(
        self, texts: Sequence[str], *, query: bool = False, background: bool = False, report: Report | None = None
    ) -> Vectors:
        """Unit vectors; the last component is for none of the topics."""
        self.asked += texts
        if self.failing:
            raise EngineError(self.failing)
        return Vectors.of([_unit([float(topic in text) for topic in TOPICS]) for text in texts])

    async def tune(self, config: EngineConfig) -> bool:
        """Takes on anything."""
        return True

    async def close(self) -> None:
        """Nothing to close."""


def _unit(row: list[float]) -> list[float]:
    size = math.hypot(*row)
    return [*(value / size for value in row), 0.0] if size else [*row, 1.0]


class Embedding:
    """A plugin that offers the toy embedder, or fails to open it."""

    def __init__(self, problem: str = "") -> None:
        self.toy = ToyEmbedder()
        self.opened = 0
        self.problem = problem

    @hookimpl
    def engines(self) -> Iterable[EngineSpec]:
        """One engine of the kind "embedding"."""

        async def open_toy(host: Host, config: EngineConfig, report: Report) -> ToyEmbedder:
            self.opened += 1
            if self.problem:
                raise EngineError(self.problem)
            return self.toy

        yield EngineSpec("toy", open_toy, "embedding")


def put_set(folder: Path, name: str, pairs: Sequence[tuple[str, str]], instruction: str = "") -> Path:
    """A set in the settings folder below `folder`."""
    path = folder / "config" / "fewshot" / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [{"instruction": instruction}] * bool(instruction) + [{"input": a, "output": b} for a, b in pairs]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@asynccontextmanager
async def shot_session(folder: Path, embedding: Embedding | None = None, **settings: Any) -> AsyncIterator[Session]:
    """A session with the set "few" and, unless it is None, that embedder."""
    put_set(folder, "few", FEW, "Name the queue.")
    host = make_host(folder, RecordingUI(), **settings)
    host.add("chatapp", commands)
    if embedding is not None:
        host.add("toy", embedding)
    host.add("fewshot", chatapp_fewshot)
    async with started(host) as session:
        yield session
