"""The documents: ingest beside a bare `encode`, search beside a bare LanceDB query, and adding up to 100,000 chunks."""

from __future__ import annotations

import os
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

import chatapp_embeddings
import chatapp_rag
from chatapp import Host, Session, commands
from chatapp.paths import paths
from chatapp.testing import RecordingUI, make_host
from chatapp_rag.collection import Collection
from chatapp_rag.indexing import Indexer
from chatapp_rag.library import Library, library
from chatapp_rag.retrieving import POOL, VECTORS
from tests.bench.documents import Passages, written
from tests.bench.figure import Figure, median_ratio

MODEL = "all-MiniLM-L6-v2"
CHARACTERS = 300_000
"""Of prose that is ingested, in files of a few pages: about 400 chunks."""
ROUNDS = 3
CHUNKS, STEP, BATCH = 100_000, 10_000, 256
QUERIES = 100
SHOWN = 10


@asynccontextmanager
async def documents(folder: Path, **tables: Any) -> AsyncIterator[tuple[Session, Library]]:
    """A started host with documents and the real embedding model; `tables` are of its settings."""
    host: Host = make_host(folder, RecordingUI(), **tables)
    for name, plugin in (("chatapp", commands), ("embeddings", chatapp_embeddings), ("rag", chatapp_rag)):
        host.add(name, plugin)
    await host.startup()
    try:
        yield Session(host), library(host)
    finally:
        await host.shutdown()


def embeddings(precision: str) -> dict[str, Any]:
    """The settings of the embedding model in this user's data folder."""
    return {"folder": str(paths().data / "embeddings" / MODEL), "precision": precision}


async def drained(progress: Any) -> None:
    """Take everything from a stream."""
    async with aclosing(progress) as values:
        async for _ in values:
            pass


async def ingest(model: Path) -> list[Figure]:
    """Chunks a second from files to the swept index, beside a bare `encode` of the very chunks; they take turns."""
    pairs: dict[str, list[tuple[float, float]]] = {"float32": [], "auto": []}
    with tempfile.TemporaryDirectory() as place:
        folder = written(Path(place) / "docs", CHARACTERS)
        for _ in range(ROUNDS):
            for precision, measured in pairs.items():
                speed, texts = await product_ingest(Path(place) / "home", folder, precision)
                measured.append((speed, bare_encode(texts)))
    said = f"{len(texts)} chunks"
    return [
        Figure("ingest: product in float32 to bare encode", median_ratio(pairs["float32"]), "ratio", 0.9,
               samples=tuple(pairs["float32"]), about=said),
        Figure("ingest: product as it is set to bare encode", median_ratio(pairs["auto"]), "ratio", 0.9,
               samples=tuple(pairs["auto"]), about=said),
    ]  # fmt: skip


async def product_ingest(home: Path, folder: Path, precision: str) -> tuple[float, list[str]]:
    """Chunks a second of the indexer over a folder, and the chunks; its child processes run already."""
    async with documents(home, embeddings=embeddings(precision)) as (session, shelf):
        await drained(shelf.ready(session, None))
        warm = await shelf.make("warm up")
        await drained(Indexer(shelf.store, warm, shelf.embedder, shelf.reader).run([next(folder.iterdir())], 10**9))
        made = await shelf.make("documents")
        indexer = Indexer(shelf.store, made, shelf.embedder, shelf.reader)
        begun = time.perf_counter()
        await drained(indexer.run([folder], 10**9))
        seconds = time.perf_counter() - begun
        texts = table_of(shelf, made).search().select(["text"]).limit(None).to_arrow()["text"].to_pylist()
        assert len(texts) == indexer.outcome.embedded
        await shelf.store.drop(warm)
        await shelf.store.drop(made)
    return len(texts) / seconds, texts


def bare_encode(texts: list[str]) -> float:
    """Chunks a second of sentence-transformers alone, in float32, on as many threads."""
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    encoder = SentenceTransformer(embeddings("")["folder"], local_files_only=True, device="cpu")
    encoder.encode(texts[:32], batch_size=32, show_progress_bar=False)
    begun = time.perf_counter()
    encoder.encode(texts, batch_size=32, show_progress_bar=False)
    return len(texts) / (time.perf_counter() - begun)


def table_of(shelf: Library, collection: Collection) -> Any:
    """A collection's chunks, opened by LanceDB in this process."""
    import lancedb

    return lancedb.connect(shelf.store.uri).open_table(f"{collection.id}-chunks")


async def large(model: Path) -> list[Figure]:
    """Adding up to CHUNKS chunks, then searching them, exactly and by the vector index."""
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        async with documents(home, embeddings=embeddings("auto")) as (session, shelf):
            passages = await Passages.drawn(session, shelf, CHUNKS)
            width = passages.vectors.shape[1]
            swept = await shelf.store.create("swept", "bench", "bench", width)
            made = await shelf.store.create("large", "bench", "bench", width)
            figures = [await adding(shelf, made, passages), await adding(shelf, swept, passages, sweeps=True)]
            await shelf.store.drop(swept)
            figures += await searching(shelf, made, passages)
        async with documents(home, rag={"exact_up_to": CHUNKS // 2}) as (_, shelf):
            await drained(shelf.store.sweep(made))
            found = await recall(shelf, made, passages)
            figures.append(Figure("search: recall@10 by the vector index", found, "share", 0.95))
    return figures


async def adding(shelf: Library, made: Collection, passages: Passages, *, sweeps: bool = False) -> Figure:
    """The seconds that each STEP of chunks with ready vectors takes.

    Swept once, at the end, as one `rag add` does; or with `sweeps` after each step, as that many `rag add` do: these
    merge what is there with what is new, so a step takes longer the more is there.
    """
    curve = []
    for start in range(0, len(passages.texts), STEP):
        begun = time.perf_counter()
        for place in range(start, start + STEP, BATCH):
            await passages.add(shelf.store, made, place, min(place + BATCH, start + STEP))
        if sweeps:
            await drained(shelf.store.sweep(made))
        curve.append((float(start + STEP), time.perf_counter() - begun))
    begun = time.perf_counter()
    await drained(shelf.store.sweep(made))
    ratio = statistics.median(seconds for _, seconds in curve[-3:]) / curve[0][1]
    about = ", ".join(f"{seconds:.2f}" for _, seconds in curve)
    about = f"seconds per {STEP:,}: {about}; the sweep at the end {time.perf_counter() - begun:.2f}"
    name = "adding, swept at each step: last to first" if sweeps else "adding at once: last 10,000 to first"
    return Figure(name, ratio, "ratio", samples=tuple(curve), about=about)


async def searching(shelf: Library, made: Collection, passages: Passages) -> list[Figure]:
    """`Store.search` beside a bare hybrid query on the same table, and the memory of this process, the interface's."""
    draw = random.Random(5)
    queries = [passages.query(draw) for _ in range(QUERIES)]
    for text, vector in queries[:5]:
        await shelf.store.search(made, text, vector, POOL, VECTORS)
    process = psutil.Process()
    before = process.memory_info().rss
    for text, vector in queries * 3:
        await shelf.store.search(made, text, vector, POOL, VECTORS)
    grown = (process.memory_info().rss - before) / 1e6
    table = table_of(shelf, made)
    bare(table, *queries[0])
    pairs = []
    for text, vector in queries:
        begun = time.perf_counter()
        await shelf.store.search(made, text, vector, POOL, VECTORS)
        half = time.perf_counter()
        bare(table, text, vector)
        pairs.append((half - begun, time.perf_counter() - half))
    ours, theirs = ([pair[side] for pair in pairs] for side in (0, 1))
    ratio = statistics.median(ours) / statistics.median(theirs)
    about = ", ".join(
        f"{name} p50 {1e3 * statistics.median(times):.0f} ms, p95 {1e3 * statistics.quantiles(times, n=20)[-1]:.0f} ms"
        for name, times in (("product", ours), ("bare", theirs))
    )
    return [
        Figure("search: p50 of the product to bare LanceDB", ratio, "ratio", 1.5, False, tuple(pairs), about),
        Figure("search: recall@10 of the vectors", await recall(shelf, made, passages), "share", 0.95),
        Figure(f"search: memory grown in {3 * QUERIES} searches", grown, "MB", 10.0, False),
    ]


def bare(table: Any, text: str, vector: list[float]) -> list[Any]:
    """A hybrid query as LanceDB's documentation has it: its defaults, reciprocal rank fusion."""
    from lancedb.rerankers import RRFReranker

    query = table.search(query_type="hybrid").vector(vector).text(text)
    found: list[Any] = query.limit(POOL).rerank(RRFReranker()).to_list()
    return found


async def recall(shelf: Library, made: Collection, passages: Passages) -> float:
    """Share of the ten nearest by brute force that the product finds."""
    draw = random.Random(6)
    hits = 0
    for _ in range(QUERIES):
        text, vector = passages.query(draw)
        result = await shelf.store.search(made, text, vector, SHOWN, 1.0)
        hits += len({passages.number(hit) for hit in result.hits} & passages.nearest(vector, SHOWN))
    return hits / (SHOWN * QUERIES)
