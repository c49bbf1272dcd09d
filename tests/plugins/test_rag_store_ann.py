"""The vector index of large collections: built above a size, held to exact search, dropped where it is not as good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from chatapp_rag.collection import Collection, Entry
from chatapp_rag.documents import Chunk
from chatapp_rag.store.client import Store
from tests.plugins.rag_store_support import digest_of, listed, made, put, stored, swept, table_of, vector, verdicts

WIDTH = 16
ROWS, LIMIT, FILE = 20_000, 10_000, 2_000
BUILT = "Building the vector index"


def clustered(rows: int, seed: int) -> Any:
    """Unit vectors around 200 centres that are the same for every seed, as texts about 200 things would lie."""
    centres = np.random.default_rng(1).normal(size=(200, WIDTH))
    draw = np.random.default_rng(seed)
    vectors = centres[draw.integers(200, size=rows)] + 0.6 * draw.normal(size=(rows, WIDTH))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("<f4")


async def filled(store: Store) -> tuple[Collection, Any]:
    """A collection of ROWS chunks that are called by their numbers, and their vectors."""
    collection, vectors = await made(store), clustered(ROWS, 2)
    for start in range(0, ROWS, FILE):
        path, chunks = f"/{start}", [Chunk(f"number{n}") for n in range(start, start + FILE)]
        await store.stage(collection, digest_of(path), 0, chunks, vectors[start : start + FILE].tobytes())
        await store.commit(collection, [Entry(path, digest_of(path), 1, 1, FILE)])
    return collection, vectors


async def recall(store: Store, collection: Collection, vectors: Any) -> float:
    """Share of the ten nearest by brute force that searches for 60 new vectors find."""
    queries = clustered(60, 3)
    hits = 0
    for query in queries:
        result = await store.search(collection, "", query.tolist(), 10, 1.0)
        nearest = set(np.argsort(-(vectors @ query))[:10].tolist())
        hits += len(nearest & {int(hit.text.removeprefix("number")) for hit in result.hits})
    return hits / (10 * len(queries))


def indexed(store: Store, collection: Collection) -> list[str]:
    """The columns that have an index."""
    return sorted(column for index in table_of(store, collection).list_indices() for column in index.columns)


async def now(store: Store) -> Collection:
    """The collection as it is stored."""
    (collection,) = await store.collections()
    return collection


async def test_a_large_collection_gets_an_index_that_finds_what_exact_search_finds(tmp_path: Path) -> None:
    async with stored(tmp_path, exact_up_to=LIMIT) as store:
        collection, vectors = await filled(store)
        assert await recall(store, collection, vectors) == 1.0
        assert BUILT in await swept(store, collection)
        assert "vector" in indexed(store, collection)
        tuned = json.loads((await now(store)).ann)
        assert tuned["recall"] >= 0.95
        assert await recall(store, collection, vectors) >= 0.95
        said = {check.name: check for check in await listed(store.verify(collection, tune=False))}
        assert said["search"].good
        assert "of exact search" in said["search"].said
        # What comes later is found before and after the next sweep, which makes no new index.
        await put(store, collection, later=["Zebras graze."])
        for _ in range(2):
            hits = (await store.search(collection, "", vector("Zebras graze."), 1, 1.0)).hits
            assert [hit.text for hit in hits] == ["Zebras graze."]
            assert BUILT not in await swept(store, collection)
        assert json.loads((await now(store)).ann) == tuned


async def test_the_index_goes_when_the_collection_shrinks(tmp_path: Path) -> None:
    async with stored(tmp_path, exact_up_to=LIMIT) as store:
        collection, vectors = await filled(store)
        await swept(store, collection)
        await store.forget(collection, [f"/{start}" for start in range(6 * FILE, ROWS, FILE)])
        await swept(store, collection)
        assert "vector" in indexed(store, collection)
        await store.forget(collection, [f"/{start}" for start in range(4 * FILE, ROWS, FILE)])
        await swept(store, collection)
        assert "vector" not in indexed(store, collection)
        assert (await now(store)).ann == ""
        assert await recall(store, collection, vectors[: 4 * FILE]) == 1.0


async def test_verify_sees_an_index_that_misses_and_tunes_it(tmp_path: Path) -> None:
    async with stored(tmp_path, exact_up_to=LIMIT) as store:
        collection, vectors = await filled(store)
        await swept(store, collection)
        await store.change(collection, ann=json.dumps({"nprobes": 1, "recall": 1.0}))
        assert await recall(store, collection, vectors) < 0.95
        assert not (await verdicts(store, collection, tune=False))["search"]
        assert (await verdicts(store, collection, tune=True))["search"]
        assert json.loads((await now(store)).ann)["nprobes"] > 1
        assert await recall(store, collection, vectors) >= 0.95


async def test_an_index_that_is_not_good_enough_is_dropped_and_search_stays_exact(tmp_path: Path) -> None:
    async with stored(tmp_path, exact_up_to=LIMIT) as store:
        collection, vectors = await filled(store)
        store._writing = store._host.workers.add("document index", "tests.plugins.rag_store_services:Hopeless")
        assert BUILT in await swept(store, collection)
        assert "vector" not in indexed(store, collection)
        assert (await now(store)).ann == ""
        assert await recall(store, collection, vectors) == 1.0
        assert (await verdicts(store, collection))["search"]
