"""One search: vectors and words, LanceDB's own, fused by LanceDB's own reranker."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from chatapp_rag.collection import Collection, Hit
from chatapp_rag.store.ann import tuned

COLUMNS = ["digest", "ordinal", "text", "heading", "page", "first_line", "last_line"]
CANDIDATES = 100
"""How many each of the two searches brings to the fusion: their scores are scaled over these."""
FUSION = "_relevance_score"


def search(
    table: Any, collection: Collection, text: str, vector: bytes, limit: int, weight: float
) -> tuple[list[Hit], float]:
    """The `limit` best chunks and the highest cosine of any.

    `weight` is the vectors' share of the fused score, the words have the rest (0: words only, 1: vectors only). Both
    scores are scaled to 0 to 1 over the candidates and added with these weights: a convex combination (Bruch, Gai and
    Ingber 2023, "An analysis of fusion functions for hybrid retrieval").
    """
    import numpy as np

    query = np.frombuffer(vector, dtype="<f4")
    candidates = max(limit, CANDIDATES)
    if weight >= 1 or not text.strip():
        rows = _nearest(table, collection, query, candidates)
    else:
        ensure_words(table, collection.language)
        rows = _hybrid(table, collection, text, query, candidates, weight)
    best = max((cosine for cosine in map(_cosine, rows) if cosine is not None), default=0.0)
    return [as_hit(row) for row in rows[:limit]], best


def _nearest(table: Any, collection: Collection, query: Any, candidates: int) -> list[dict[str, Any]]:
    found = tuned(table.search(query, vector_column_name="vector").distance_type("cosine"), collection)
    rows: list[dict[str, Any]] = found.select([*COLUMNS, "_distance"]).limit(candidates).to_list()
    return [{**row, FUSION: max(1 - row["_distance"], 0.0)} for row in rows]


def _hybrid(
    table: Any, collection: Collection, text: str, query: Any, candidates: int, weight: float
) -> list[dict[str, Any]]:
    both = table.search(query_type="hybrid", vector_column_name="vector", fts_columns="text").vector(query).text(text)
    both = tuned(both.distance_type("cosine"), collection).select(COLUMNS).limit(candidates)
    rows: list[dict[str, Any]] = both.rerank(_weighted(weight), normalize="score").to_list()
    # Without a share of their own the vectors bring nothing that the words did not find.
    return rows if weight > 0 else [row for row in rows if row["_score"] is not None and row["_score"] > 0]


def _weighted(weight: float) -> Any:
    """LanceDB's weighted sum of the two scores, as `search` describes it."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from lancedb.rerankers import LinearCombinationReranker

    class Weighted(LinearCombinationReranker):  # type: ignore[misc]
        def rerank_hybrid(self, query: str, vector_results: Any, fts_results: Any) -> Any:
            # Equal scores, and so that of the only chunk with a rare name, LanceDB scales to 0: as if none fitted.
            if len(fts_results) and not pc.max(fts_results["_score"]).as_py():
                place = fts_results.column_names.index("_score")
                ones = pa.array([1.0] * len(fts_results), pa.float32())
                fts_results = fts_results.set_column(place, "_score", ones)
            return super().rerank_hybrid(query, vector_results, fts_results)

    return Weighted(weight=weight, return_score="all")


def ensure_words(table: Any, language: str) -> None:
    """Make the full-text index unless it is there: a collection that was never swept (its job was killed) has none."""
    if any(index.columns == ["text"] for index in table.list_indices()):
        return
    make_words(table, language)


def make_words(table: Any, language: str) -> None:
    """Make the full-text index (BM25) for texts in this language; words are stemmed where LanceDB has a stemmer."""
    from lancedb.index import FTS

    table.create_index("text", config=FTS(**analyzer(language)), replace=True)


STEMMERS = {
    "ar": "Arabic", "da": "Danish", "nl": "Dutch", "en": "English", "fi": "Finnish", "fr": "French", "de": "German",
    "el": "Greek", "hu": "Hungarian", "it": "Italian", "no": "Norwegian", "pt": "Portuguese", "ro": "Romanian",
    "ru": "Russian", "es": "Spanish", "sv": "Swedish", "ta": "Tamil", "tr": "Turkish",
}  # fmt: skip
"""ISO 639-1 codes of the languages that LanceDB stems, as it calls them."""
UNSPACED = frozenset({"zh", "ja", "th", "ko", "km", "lo", "my"})
"""Languages whose words are found by the Unicode text segmentation rules and dictionaries (ICU), not by spaces."""


def analyzer(language: str) -> Mapping[str, Any]:
    """How LanceDB's full-text index reads this language (ISO 639-1; "" when unknown)."""
    known = STEMMERS.get(language)
    base = "icu" if language in UNSPACED else "simple"
    return {
        "base_tokenizer": base,
        "language": known or "English",
        "stem": known is not None,
        "remove_stop_words": known is not None,
        "ascii_folding": True,
        "lower_case": True,
    }


def as_hit(row: Mapping[str, Any]) -> Hit:
    """A row of the chunks' table as a hit."""
    heading = row["heading"] or ""
    text = row["text"][len(heading) + 1 :] if heading else row["text"]
    return Hit(
        row["digest"],
        int(row["ordinal"]),
        text,
        heading,
        row["page"],
        row["first_line"],
        row["last_line"],
        score=float(row.get(FUSION) or 0.0),
        similarity=_cosine(row),
    )


def _cosine(row: Mapping[str, Any]) -> float | None:
    """The cosine to the query, None for a row that only the words found."""
    distance = row.get("_distance")
    return None if distance is None or math.isnan(distance) else 1 - float(distance)
