"""The vector index of large collections, held to the exact search it stands for.

Approximate search trades recall for speed, and how much depends on the data: LanceDB's default IVF_PQ has been measured
at a recall@10 of 0.16 on 100,000 vectors of 384 dimensions. So an index is made with 8-bit scalar quantization, what it
finds is compared exactly, the number of partitions to look into is measured on the user's own vectors, and an index
that cannot reach the recall wanted is dropped again: exact search is slower, never wrong.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from chatapp_rag.collection import Collection

RECALL = 0.95
"""Least share of the ten exactly nearest chunks that a search must find."""
TOP = 10
QUERIES = 50
"""How many searches recall is measured on."""
REFINE = 5
"""So many times the chunks wanted are compared exactly."""
PARTITION = 4096
"""Vectors in a partition of the index, half of LanceDB's own: the number to look into is set in finer steps."""
COSINE = 0.6
"""How near the trial queries are to a chunk: about as near as questions are to the passages that answer them."""


def tuned(query: Any, collection: Collection) -> Any:
    """The query with what was measured for this collection's index; as it is where there is none."""
    if not collection.ann:
        return query
    return query.nprobes(json.loads(collection.ann)["nprobes"]).refine_factor(REFINE)


def has_index(table: Any) -> bool:
    """Whether there is a vector index."""
    return any(index.columns == ["vector"] for index in table.list_indices())


def build(table: Any) -> Iterator[str]:
    """Make the index and measure how many partitions must be searched; the last value is the JSON for `Collection.ann`.

    That is "" when the recall wanted cannot be reached: then there is no index.
    """
    from lancedb.index import IvfSq

    yield "Building the vector index"
    partitions = max(table.count_rows() // PARTITION, 1)
    table.create_index("vector", config=IvfSq(distance_type="cosine", num_partitions=partitions), replace=True)
    yield "Measuring the vector index"
    queries = trial_queries(table)
    exact = [_ids(table, query, None) for query in queries]
    nprobes = max(partitions // 32, 1)
    while nprobes <= partitions:
        recall = _recall(table, queries, exact, nprobes)
        if recall >= RECALL:
            # A margin, for other queries are not these.
            yield json.dumps({"nprobes": min(nprobes * 2, partitions), "recall": round(recall, 4)})
            return
        nprobes *= 2
    drop(table)
    yield ""


def drop(table: Any) -> None:
    """Take the vector index away: searches are exact from now on."""
    for index in table.list_indices():
        if index.columns == ["vector"]:
            table.drop_index(index.name)


def measured(table: Any, collection: Collection) -> float:
    """Recall@10 of the index as it is used, against exact search, over trial queries."""
    queries = trial_queries(table)
    exact = [_ids(table, query, None) for query in queries]
    return _recall(table, queries, exact, json.loads(collection.ann)["nprobes"])


def trial_queries(table: Any) -> list[Any]:
    """Vectors near chunks of the collection, at the cosine COSINE from them; always the same ones for the same rows."""
    import numpy as np

    draw = np.random.default_rng(20)
    rows = table.count_rows()
    places = sorted(draw.choice(rows, size=min(QUERIES, rows), replace=False).tolist())
    vectors = np.stack(
        table.take_offsets(places).select(["vector"]).to_arrow()["vector"].to_numpy(zero_copy_only=False)
    )
    noise = draw.normal(size=vectors.shape).astype("float32")
    noise -= (noise * vectors).sum(axis=1, keepdims=True) * vectors
    noise /= np.linalg.norm(noise, axis=1, keepdims=True)
    return list(COSINE * vectors + np.sqrt(1 - COSINE**2) * noise)


def _recall(table: Any, queries: list[Any], exact: list[set[int]], nprobes: int) -> float:
    found = [_ids(table, query, nprobes) for query in queries]
    shares = [len(mine & true) / max(len(true), 1) for mine, true in zip(found, exact, strict=True)]
    return sum(shares) / max(len(shares), 1)


def _ids(table: Any, query: Any, nprobes: int | None) -> set[int]:
    search = table.search(query, vector_column_name="vector").distance_type("cosine").limit(TOP).with_row_id(True)
    search = search.bypass_vector_index() if nprobes is None else search.nprobes(nprobes).refine_factor(REFINE)
    return set(search.select(["ordinal"]).to_arrow()["_rowid"].to_pylist())
