"""The vectors of the experts' texts, made once for each embedding model and kept in memory and on disk."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import os
import re
import tempfile
from collections.abc import Sequence
from contextlib import aclosing
from operator import mul
from pathlib import Path

from chatapp import Embedder, Host, Session, Vectors

UNIT = 1e-3
"""How far from 1 a unit vector's length may be; what is further off was damaged."""


async def open_embedder(session: Session) -> Embedder:
    """The engine that compares texts, telling the user while it opens; EngineError where there is none."""
    async with aclosing(session.host.engines.ready(session, "embedding")) as news:
        async for progress in news:
            session.ui.progress(progress)
    embedder = session.host.engines.current("embedding")
    assert embedder is not None
    return embedder


def identity(embedder: Embedder) -> str:
    """Which model it is, exactly: vectors of two models cannot be compared."""
    return str(embedder.info.details.get("model") or embedder.info.model)


class Memory:
    """The vectors of the texts that were asked for last."""

    def __init__(self, host: Host) -> None:
        self._folder = host.paths.cache / "experts"
        self._held: tuple[str, Vectors] | None = None

    async def of(self, session: Session, embedder: Embedder, texts: Sequence[str]) -> Vectors:
        """One vector per text, in order: from memory, from the disk, or from the embedder."""
        digest = hashlib.sha256(json.dumps([identity(embedder), *texts]).encode()).hexdigest()
        if self._held is None or self._held[0] != digest:
            path = self._folder / f"{re.sub(r'[^A-Za-z0-9.-]+', '-', identity(embedder))[:80]}.f32"
            rows = await asyncio.to_thread(_load, path, digest, len(texts))
            if rows is None:
                rows = await embedder.embed(texts, report=session.ui.progress)
                await asyncio.to_thread(_save, path, digest, rows)
            self._held = (digest, rows)
        return self._held[1]


def dot(left: Sequence[float], right: Sequence[float]) -> float:
    """The scalar product; of unit vectors it is the cosine of the angle between them."""
    return float(sum(map(mul, left, right)))


def _load(path: Path, digest: str, count: int) -> Vectors | None:
    """The vectors in a cache file; None where it is missing, damaged or holds those of other texts."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    head, body = data[:64], data[64:]
    if head != digest.encode() or not body or len(body) % (4 * count):
        return None
    rows = Vectors(len(body) // (4 * count), body)
    return rows if all(abs(math.hypot(*row) - 1) < UNIT for row in rows) else None


def _save(path: Path, digest: str, rows: Vectors) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(digest.encode() + rows.data)
    Path(temporary).replace(path)
