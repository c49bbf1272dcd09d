"""Which examples are most like a message: by the embeddings of both, or by spelling where no model can be had."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
from array import array
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from weakref import WeakKeyDictionary

from chatapp import ChatappError, Embedder, Event, Host, Notice, Progress, Session, write_private
from chatapp_fewshot.examples import ExampleSet
from chatapp_fewshot.lexical import bm25

STEP = 32
"""Texts embedded at once between two reports of progress."""

_without: WeakKeyDictionary[Host, str] = WeakKeyDictionary()
"""Hosts on which no embedder could be opened, and why: they are not made to wait for that again every turn."""
_known: WeakKeyDictionary[Host, dict[str, array[float]]] = WeakKeyDictionary()
"""The vectors at hand, by model and text."""


async def prepare(session: Session, chosen: ExampleSet, *, again: bool = False) -> AsyncGenerator[Event, None]:
    """Open the embedder and embed the set's inputs, telling how far it is; a Notice says when spelling must do.

    `again` tries once more after a failure.
    """
    if again:
        _without.pop(session.host, None)
    if session.host in _without:
        return
    try:
        async with aclosing(session.host.engines.ready(session, "embedding")) as news:
            async for progress in news:
                yield progress
        embedder = session.host.engines.current("embedding")
        assert embedder is not None
        async with aclosing(_embed(session.host, embedder, chosen)) as steps:
            async for progress in steps:
                yield progress
    except ChatappError as error:
        _without[session.host] = str(error)
        yield Notice(f"Examples are compared by spelling, not by meaning: {error}", "warning")


def way(host: Host) -> str:
    """How examples are compared now: "meaning" or "spelling"."""
    return "spelling" if host in _without else "meaning"


async def rank(session: Session, chosen: ExampleSet, text: str) -> list[int]:
    """The places of the examples in the set, the most similar to `text` first."""
    async with aclosing(prepare(session, chosen)) as news:
        async for event in news:
            if isinstance(event, Progress):
                session.ui.progress(event)
            elif isinstance(event, Notice):
                session.ui.notify(event.text, event.level)
    scores = await _scores(session, chosen, text)
    return sorted(range(len(scores)), key=lambda place: -scores[place])


async def _scores(session: Session, chosen: ExampleSet, text: str) -> list[float]:
    inputs = [example.input for example in chosen.examples]
    embedder = session.host.engines.current("embedding")
    if session.host not in _without and embedder is not None:
        try:
            (query,) = await embedder.embed([text])
        except ChatappError as error:
            # A child that died is started again by the next use: only this message is compared by spelling.
            session.ui.notify(f"This message is compared by spelling: {error}", "warning")
        else:
            rows = _known[session.host]
            return await asyncio.to_thread(_dots, query, [rows[_key(embedder, each)] for each in inputs])
    return await asyncio.to_thread(bm25, inputs, text)


def _dots(query: Sequence[float], rows: Sequence[array[float]]) -> list[float]:
    return [sum(a * b for a, b in zip(query, row, strict=True)) for row in rows]


async def _embed(host: Host, embedder: Embedder, chosen: ExampleSet) -> AsyncGenerator[Progress, None]:
    """Make `_known` hold the set's inputs: from memory, from the cache, and the rest from the embedder."""
    known = _known.setdefault(host, {})
    inputs = list(dict.fromkeys(example.input for example in chosen.examples))
    if all(_key(embedder, text) in known for text in inputs):
        return
    cache = _cache_file(host, embedder, chosen)
    known.update(await asyncio.to_thread(_load, cache))
    missing = [text for text in inputs if _key(embedder, text) not in known]
    for start in range(0, len(missing), STEP):
        yield Progress(f"Comparing the examples of {chosen.name}", start, len(missing), "texts")
        texts = missing[start : start + STEP]
        for text, row in zip(texts, await embedder.embed(texts), strict=True):
            known[_key(embedder, text)] = array("f", row)
    if missing:
        keys = [_key(embedder, text) for text in inputs]
        await asyncio.to_thread(_save, cache, {key: known[key] for key in keys})


def _key(embedder: Embedder, text: str) -> str:
    return hashlib.sha256(f"{_identity(embedder)}\0{text}".encode()).hexdigest()


def _identity(embedder: Embedder) -> str:
    # Two folders may hold different models under one name.
    return json.dumps([embedder.info.model, embedder.info.details.get("folder", "")])


def _cache_file(host: Host, embedder: Embedder, chosen: ExampleSet) -> Path:
    model = re.sub(r"[^A-Za-z0-9.-]+", "-", embedder.info.model)[:60]
    return host.paths.cache / "fewshot" / f"{chosen.name}.{model}.json"


def _load(path: Path) -> dict[str, array[float]]:
    """The rows in a cache file; none where it is missing, damaged or something else."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        rows = {key: array("f", base64.b64decode(row, validate=True)) for key, row in held.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
    # Rows of unit length: what is not, was damaged.
    return {key: row for key, row in rows.items() if abs(sum(x * x for x in row) - 1) < 1e-3}


def _save(path: Path, rows: dict[str, array[float]]) -> None:
    packed = {key: base64.b64encode(row.tobytes()).decode("ascii") for key, row in rows.items()}
    write_private(path, json.dumps(packed))
