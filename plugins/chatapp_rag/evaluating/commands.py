"""`chatapp eval retrieval` and `chatapp eval answers`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

from chatapp import Event, Session, action
from chatapp_rag.completing import names, paths_below


@action("eval retrieval")
async def eval_retrieval(
    session: Session,
    folder: Annotated[Path, "A folder in BEIR's layout: corpus.jsonl, queries.jsonl, qrels/NAME.tsv", paths_below],
    *,
    split: Annotated[str, "Which judgements; otherwise test, or the only ones"] = "",
    limit: Annotated[int | None, "Only the first so many queries"] = None,
    language: Annotated[str, "The corpus' language (en, pt, …) if it is guessed wrong"] = "",
) -> AsyncIterator[Event]:
    """Measure how well the search finds the documents that were judged relevant: nDCG@10 and recall@10."""
    from chatapp_rag.evaluating.retrieval import measured

    async with aclosing(measured(session, folder.expanduser(), split, limit, language)) as events:
        async for event in events:
            yield event


@action("eval answers")
async def eval_answers(
    session: Session,
    file: Annotated[Path, 'JSON lines with "question" and "answers"', paths_below],
    *,
    collection: Annotated[str, "The documents that answer them", names] = "",
    limit: Annotated[int | None, "Only the first so many"] = None,
    out: Annotated[Path | None, "Where the answers are kept, to go on later"] = None,
) -> AsyncIterator[Event]:
    """Measure answers from documents: what was retrieved, whether it answers, whether the citations hold it."""
    from chatapp_rag.evaluating.answers import load, measured
    from chatapp_rag.library import library

    questions = await asyncio.to_thread(load, file.expanduser(), limit)
    chosen = await library(session.host).find(collection)
    name = f"answers-{file.stem}-{Path(session.model).name}.jsonl"
    kept = out or session.host.paths.data / "evaluations" / name
    async with aclosing(measured(session, chosen, questions, kept)) as events:
        async for event in events:
            yield event


ACTIONS = (eval_retrieval, eval_answers)
