"""From a question to the passages it is answered from."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from chatapp import Progress, Session
from chatapp_rag.collection import Collection, Found, Hit
from chatapp_rag.library import Library
from chatapp_rag.passages import Passage, distinct, fitting, joined

POOL = 40
"""Hits that are looked at before repetitions are dropped."""
RERANKED = 24
"""Hits that a cross-encoder scores."""
VECTORS = 0.45
"""The vectors' share of the ranking where the embedding model knows the language.

Measured with all-MiniLM-L6-v2 on the train queries of SciFact: nDCG@10 of 0.724, 0.731, 0.732 and 0.721 with 0.3, 0.4,
0.5 and 0.6, 0.695 with words alone, 0.660 with vectors alone, 0.710 by reciprocal rank.
"""
VECTORS_FOREIGN = 0.15
"""Their share where it does not: on FaQuAD (Portuguese) 0.922 and 0.920 with 0.1 and 0.2, 0.919 with words alone."""
RELEVANT = 0.3
"""The cosine from which on a passage counts as relevant, for models that state none.

Measured with all-MiniLM-L6-v2: 95 % of questions that a collection answers reach 0.41 (SciFact) and 0.50 (FaQuAD) with
their nearest passage, 95 % of questions about something else stay below 0.33.
"""


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What a search brought: passages, best first; `best` is the highest cosine, `threshold` the least relevant one."""

    query: str
    passages: tuple[Passage, ...]
    best: float
    threshold: float
    relevant: bool
    nearest: str = ""


async def retrieve(
    session: Session, library: Library, collection: Collection, query: str, limit: int, budget: int | None = None
) -> Retrieved:
    """Search a collection; at most `limit` passages, of at most `budget` tokens of the chat model together.

    Opens the embedding model where it is not open, which takes some seconds.
    """
    await show(session, library.ready(session, collection))
    (vector,) = await library.embedder.embed([query], query=True)
    weight = vectors_share(library, collection)
    found = await library.store.search(collection, query, vector, POOL, weight)
    threshold = relevant_from(library)
    hits = distinct(found.hits)
    if library.settings.rerank and hits:
        hits = await rerank(session, library, query, hits)
    # Only the best are joined: of a short file nearly every chunk is among the hits.
    chosen = hits[:limit] if budget is None else await within(session, hits[:limit], budget)
    passages = joined(chosen)
    nearest = passages[0].name if passages else ""
    relevant = bool(passages) and (found.best >= threshold or _all_words(query, found))
    return Retrieved(query, tuple(passages), found.best, threshold, relevant, nearest)


def vectors_share(library: Library, collection: Collection) -> float:
    """How much the vectors count in this collection."""
    if library.settings.vectors is not None:
        return library.settings.vectors
    languages = library.embedder.info.details.get("languages") or ()
    foreign = bool(languages) and collection.language != "" and not {"*", collection.language} & set(languages)
    return VECTORS_FOREIGN if foreign else VECTORS


def relevant_from(library: Library) -> float:
    """The cosine from which on a passage is relevant: the setting's, the model's, or RELEVANT."""
    chosen = library.settings.relevant_from
    return chosen if chosen is not None else library.embedder.info.details.get("relevant_from") or RELEVANT


def _all_words(query: str, found: Found) -> bool:
    """Whether the best hit has every telling word of the query: a name or a number says little to an embedding."""
    words = {word for word in re.findall(r"\w+", query.lower()) if len(word) > 3 or word.isdigit()}
    return bool(words) and words <= set(re.findall(r"\w+", f"{found.hits[0].heading} {found.hits[0].text}".lower()))


async def rerank(session: Session, library: Library, query: str, hits: Sequence[Hit]) -> list[Hit]:
    """The hits in the order of a cross-encoder, which reads question and passage together."""
    await show(session, library.host.engines.ready(session, "reranker"))
    reranker = library.host.engines.current("reranker")
    assert reranker is not None
    first = hits[:RERANKED]
    scores = await reranker.score(query, [f"{hit.heading}\n{hit.text}".strip() for hit in first])
    order = sorted(range(len(first)), key=lambda place: -scores[place])
    return [*(first[place] for place in order), *hits[RERANKED:]]


async def within(session: Session, hits: Sequence[Hit], budget: int) -> list[Hit]:
    """The hits in order, as far as they fit so many tokens of the chat model.

    Before they are joined: six neighbours are one passage that may not fit, though its best part does.
    """
    engine = session.host.engines.current()
    texts = [f"{hit.heading}\n{hit.text}" for hit in hits]
    costs = await engine.count_tokens(texts) if engine is not None else [len(text) // 3 for text in texts]
    return fitting(hits, costs, budget)


async def show(session: Session, news: AsyncGenerator[Progress, None]) -> None:
    """Tell the user how far something is that is waited for."""
    async with aclosing(news) as steps:
        async for progress in steps:
            session.ui.progress(progress)
