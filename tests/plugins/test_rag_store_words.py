"""Searching by words and by meaning: shares, languages, and queries that were written for no search engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count

import pytest
import pytest_asyncio

from chatapp_rag.collection import Collection
from chatapp_rag.store.client import Store
from chatapp_rag.store.searching import analyzer
from tests.plugins.rag_store_support import found, made, put, stored, swept, vector

pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBERS = count(1)
TEXTS = {
    "a": ["The river is long and wide."],
    "b": ["Cats sleep sixteen hours."],
    "c": ["He said \"never\" (twice) AND left."],
    "d": ["Prices: 3*4 = 12, C++ and naïve café."],
}  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    """A store in which each test has a collection of its own."""
    async with stored(tmp_path_factory.mktemp("store")) as made:
        yield made


async def fresh(store: Store, language: str = "") -> Collection:
    """A new collection."""
    return await made(store, f"notes {next(NUMBERS)}", language)


async def test_the_share_of_the_vectors_decides_what_counts(store: Store) -> None:
    collection = await fresh(store)
    await put(store, collection, **TEXTS)
    await swept(store, collection)
    query, meant = "cats sleep", vector(TEXTS["a"][0])
    words = (await store.search(collection, query, meant, 4, 0.0)).hits
    meaning = (await store.search(collection, query, meant, 4, 1.0)).hits
    both = await store.search(collection, query, meant, 4, 0.5)
    assert words[0].text == TEXTS["b"][0]
    assert meaning[0].text == TEXTS["a"][0]
    assert len(meaning) == 4
    assert {hit.text for hit in both.hits[:2]} == {TEXTS["a"][0], TEXTS["b"][0]}
    assert both.best == pytest.approx(1.0, abs=1e-5)
    assert both.best == max(hit.similarity for hit in both.hits if hit.similarity is not None)
    for hits in (words, meaning, both.hits):
        scores = [hit.score for hit in hits]
        assert scores == sorted(scores, reverse=True)
        assert all(-1e-6 <= score <= 1 + 1e-6 for score in scores)


async def test_similarity_is_told_with_words_alone_too(store: Store) -> None:
    collection = await fresh(store)
    await put(store, collection, **TEXTS)
    result = await store.search(collection, "cats sleep", vector(TEXTS["b"][0]), 4, 0.0)
    assert result.best == pytest.approx(1.0, abs=1e-5)
    assert result.hits[0].similarity == pytest.approx(1.0, abs=1e-5)


HOSTILE = (
    '"', "'", '"unclosed', "((", ")(", "*", "cats*", "cat? OR", "AND", "AND OR NOT", "text:cats", "cats^1e9", "cats~2",
    "+cats -sleep", "\\", "cats \\", "[a TO b]", "{}", '{"match": {"query": "x"}}', "; DROP TABLE files", "' OR 1=1 --",
    "", "   ", "\n\t", "the", "the and of", "🐈", "cats 🐈‍⬛ sleep", "cats\x00sleep", "\x00", "\u202ecats", "﷽",
    "a" * 100_000, "cats " * 10_000, " ".join(f"word{n}" for n in range(10_000)),
)  # fmt: skip


@pytest.mark.parametrize("language", ["", "en", "zh"])
async def test_no_query_is_a_command_to_the_index(store: Store, language: str) -> None:
    collection = await fresh(store, language)
    await put(store, collection, **TEXTS)
    await swept(store, collection)
    for query in HOSTILE:
        for weight in (0.0, 0.5, 1.0):
            hits = (await store.search(collection, query, vector("x"), 10, weight)).hits
            # What the vectors bring does not hang on the words.
            assert weight == 0.0 or len(hits) == 4, (query[:40], weight, len(hits))
        if "cats" in query.split():
            assert (await found(store, collection, query, weight=0.0))[0] == TEXTS["b"][0], query[:40]


async def test_an_empty_collection_is_searched_in_vain(store: Store) -> None:
    collection = await fresh(store)
    for weight in (0.0, 0.5, 1.0):
        result = await store.search(collection, "cats", vector("cats"), 5, weight)
        assert (result.hits, result.best) == ((), 0.0)
    await swept(store, collection)
    await put(store, collection, b=["Cats sleep."])
    assert await found(store, collection, "cats", weight=0.0) == ["Cats sleep."]


LANGUAGES = {
    "pt": ("As informações foram guardadas em registros.", "informação"),
    "en": ("The databases were indexing documents.", "index document"),
    "de": ("Die Häuser standen am Fluss.", "Haus"),
    "ru": ("Документы хранятся в архивах.", "документ"),
    "zh": ("数据库存储在本地计算机上。", "计算机"),
    "ja": ("データベースはローカルに保存されます。", "保存"),
    "th": ("ฐานข้อมูลถูกเก็บไว้ในเครื่อง", "ข้อมูล"),
    "xx": ("Kumputa ni kitabu.", "kitabu"),
}


@pytest.mark.parametrize("language", LANGUAGES)
async def test_words_are_found_as_the_language_writes_them(store: Store, language: str) -> None:
    text, query = LANGUAGES[language]
    collection = await fresh(store, language)
    await put(store, collection, a=[text], b=["Nothing of the kind: 42."])
    await swept(store, collection)
    assert await found(store, collection, query, weight=0.0) == [text]
    assert await found(store, collection, "Nothing", weight=0.0) == ["Nothing of the kind: 42."]


async def test_the_words_of_another_language_are_indexed_anew(store: Store) -> None:
    text, query = LANGUAGES["pt"]
    collection = await fresh(store, "en")
    await put(store, collection, a=[text])
    await swept(store, collection)
    assert await found(store, collection, query, weight=0.0) == []
    changed = await store.change(collection, language="pt")
    await store.words(changed)
    assert await found(store, changed, query, weight=0.0) == [text]


async def test_words_that_were_added_after_the_index_was_made_are_found(store: Store) -> None:
    collection = await fresh(store)
    await put(store, collection, a=["The river is long."])
    await swept(store, collection)
    await put(store, collection, b=["Zebras graze."])
    assert await found(store, collection, "zebras", weight=0.0) == ["Zebras graze."]
    await swept(store, collection)
    assert await found(store, collection, "zebras", weight=0.0) == ["Zebras graze."]


async def test_only_languages_with_a_stemmer_are_stemmed() -> None:
    from lancedb.index import FTS

    assert (FTS(**analyzer("pt")).language, FTS(**analyzer("pt")).stem) == ("Portuguese", True)
    assert FTS(**analyzer("tlh")).stem is False
