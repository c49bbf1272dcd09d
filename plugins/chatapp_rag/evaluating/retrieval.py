"""`eval retrieval DIR`: how well the search finds what it should, through the store that is used for real."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from chatapp import Data, Event, Notice, Progress, Session, UsageError, table
from chatapp_rag.collection import Collection, Hit
from chatapp_rag.documents import Document, Reading
from chatapp_rag.evaluating.beir import TestCollection, load, ndcg, recall, splits
from chatapp_rag.indexing import Indexer
from chatapp_rag.library import Library, library
from chatapp_rag.reading.walking import Found
from chatapp_rag.retrieving import vectors_share

if TYPE_CHECKING:
    from chatapp_rag.reading.measuring import Ruler

DEPTH = 10
POOL = 50
"""Chunks that are fetched per query: several may be of one document."""


async def measured(
    session: Session, folder: Path, split: str, limit: int | None, language: str
) -> AsyncGenerator[Event, None]:
    """Index the corpus unless it is indexed, then search for each judged query by words, by vectors and by both."""
    split = split or _only(folder)
    data = await asyncio.to_thread(load, folder, split)
    shelf = library(session.host)
    async with aclosing(_collection(session, shelf, folder, data, language)) as steps:
        async for step in steps:
            if isinstance(step, Collection):
                collection = step
            else:
                yield step
    weight = vectors_share(shelf, collection)
    queries = list(data.judged)[:limit]
    rows = []
    for name, share in (("words", 0.0), ("vectors", 1.0), (f"both ({weight:g} vectors)", weight)):
        scores: list[tuple[float, float]] = []
        for number, query in enumerate(queries):
            yield Progress(f"Searching by {name}", number, len(queries), "queries")
            text, relevant = data.queries[query], data.judged[query]
            (vector,) = await shelf.embedder.embed([text], query=True)
            found = await shelf.store.search(collection, text, vector, POOL, share)
            ranked = _documents(found.hits)
            scores.append((ndcg(ranked, relevant), recall(ranked, relevant)))
        gain, share_found = (sum(column) / len(scores) for column in zip(*scores, strict=True))
        rows.append((name, len(queries), round(gain, 4), round(share_found, 4)))
    made = table("eval.retrieval", ("search by", "queries", f"nDCG@{DEPTH}", f"recall@{DEPTH}"), rows)
    yield Data(made.name, made.value, f"{folder.name}/{split}, {collection.model}\n{made.text}")


def _only(folder: Path) -> str:
    found = splits(folder)
    if "test" in found or len(found) == 1:
        return "test" if "test" in found else found[0]
    if not found:
        raise UsageError(f"{folder} has no qrels/NAME.tsv; the layout is BEIR's: corpus.jsonl, queries.jsonl, qrels/.")
    raise UsageError(f"Choose the judgements with --split: {', '.join(found)}.")


def _documents(hits: Sequence[Hit]) -> list[str]:
    """The documents of the hits, each at its best chunk."""
    return list(dict.fromkeys(Path(path).name for hit in hits for path in hit.paths))


async def _collection(
    session: Session, shelf: Library, folder: Path, data: TestCollection, language: str
) -> AsyncGenerator[Progress | Notice | Collection, None]:
    """The collection of this corpus, made unless it is there; the last value."""
    async with aclosing(shelf.ready(session, None)) as news:
        async for progress in news:
            yield progress
    name = f"eval {folder.name[:40]}"
    found = next((each for each in await shelf.store.collections() if each.name == name), None)
    if found is None:
        yield Notice(f"The corpus is kept as the collection {name!r}; `rag rm` removes it.")
        found = await shelf.make(name)
    async with aclosing(shelf.ready(session, found)) as news:
        async for progress in news:
            yield progress
    indexer = Indexer(shelf.store, found, shelf.embedder, _Corpus(data, language))
    files = [
        Found(Path("/") / identity, len(text), _stamp(title, text))
        for identity, (title, text) in data.documents.items()
    ]
    async with aclosing(indexer.take(files)) as steps:
        async for step in steps:
            yield step
    yield indexer.collection


def _stamp(title: str, text: str) -> int:
    """Changes when the document does, as a file's time does."""
    return int.from_bytes(hashlib.sha256(f"{title}\n{text}".encode()).digest()[:7], "big")


class _Corpus:
    """Reads the documents of a test collection as if they were files."""

    def __init__(self, data: TestCollection, language: str) -> None:
        self._data, self._language = data, language
        self._ruler: Ruler | None = None

    async def read(self, path: str, tokenizer: str, capacity: int) -> Reading:
        """The document with that id, split as a text file would be, its title as the heading."""
        return await asyncio.to_thread(self._read, Path(path).name, tokenizer, capacity)

    def _read(self, identity: str, tokenizer: str, capacity: int) -> Reading:
        from chatapp_rag.reading.languages import language_of
        from chatapp_rag.reading.measuring import Ruler
        from chatapp_rag.reading.splitting import split

        title, text = self._data.documents[identity]
        if self._ruler is None:
            self._ruler = Ruler(tokenizer)
        room = capacity - (self._ruler.size(f"{title}\n") if title else 0)
        chunks = [replace(chunk, heading=title) for chunk in split(Document(text), self._ruler, room)]
        digest = hashlib.sha256(f"{identity}\n{title}\n{text}".encode()).hexdigest()
        return Reading(digest, title, tuple(chunks), self._language or language_of(text))
