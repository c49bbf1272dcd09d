"""`eval answers FILE`: questions with known answers, asked as a user would with documents on."""

from __future__ import annotations

import hashlib
import json
import re
import time
import unicodedata
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatapp import Data, Evaluation, Event, Notice, Progress, Session, Source, UsageError, completed, read_text, wilson
from chatapp_rag.answering import given
from chatapp_rag.collection import Collection
from chatapp_rag.library import ON
from chatapp_rag.options import RagSettings
from chatapp_rag.prompting import NOT_FOUND, REMINDER, RULES

COUNT = ("budget", "passages", "relevant_from", "rerank", "vectors")
"""The plugin's settings that change answers: with others an evaluation begins anew."""
SAMPLING = {"temperature": 0.0, "repeat_penalty": 1.0, "max_tokens": 300}
"""Greedy: the same answers each time."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question and the texts that each count as its answer; none means that the documents do not tell."""

    text: str
    answers: tuple[str, ...]

    @property
    def key(self) -> str:
        """What tells it from the others."""
        return hashlib.sha256(json.dumps([self.text, *self.answers]).encode()).hexdigest()[:16]


def load(path: Path, limit: int | None) -> list[Question]:
    """The questions of a JSON lines file: {"question": …, "answers": […]} or "answer"; UsageError with the line."""
    found = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if line.strip():
            found.append(_question(line, f"{path}, line {number}"))
    if not found:
        raise UsageError(f"{path} has no questions.")
    return found[:limit]


def _question(line: str, where: str) -> Question:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UsageError(f"{where}: this is no JSON ({error}).") from None
    question = row.get("question") if isinstance(row, dict) else None
    answers = (row.get("answers") or row.get("answer") or []) if isinstance(row, dict) else None
    answers = [answers] if isinstance(answers, str) else answers
    if not isinstance(question, str) or not isinstance(answers, list) or not all(isinstance(a, str) for a in answers):
        raise UsageError(f'{where}: a row has to be an object with "question" and the list of texts "answers".')
    return Question(question, tuple(answers))


async def measured(
    session: Session, collection: Collection, questions: Sequence[Question], out: Path
) -> AsyncGenerator[Event, None]:
    """Ask the questions that were not asked yet, and say what all of them come to."""
    rag = session.host.config(RagSettings).model_dump(include=set(COUNT))
    prompt = {"rules": RULES, "reminder": REMINDER}
    settings = {"collection": collection.id, "model": session.model, "sampling": SAMPLING, "rag": rag, "prompt": prompt}
    evaluation = Evaluation(out, settings)
    left = [question for question in questions if question.key not in evaluation.done]
    if len(left) < len(questions):
        yield Notice(f"{len(questions) - len(left)} of {len(questions)} are answered already in {out}.")
    for number, question in enumerate(left):
        yield Progress("Asking", len(questions) - len(left) + number, len(questions), "questions")
        async with aclosing(_ask(session, collection, question, evaluation)) as news:
            async for progress in news:
                yield progress
    rows = [evaluation.done[question.key] for question in questions]
    yield _summed(rows)


async def _ask(
    session: Session, collection: Collection, question: Question, evaluation: Evaluation
) -> AsyncGenerator[Progress, None]:
    fresh = Session(session.host, ui=session.ui, keep=False)
    fresh.values.update({ON: collection.id, "sampling": dict(SAMPLING)})
    if session.values.get("model"):
        fresh.values["model"] = session.values["model"]
    async with aclosing(fresh.warm()) as news:
        async for progress in news:
            yield progress
    began = time.monotonic()
    turn = await completed(fresh, question.text)
    cited = [part for message in turn.answers for part in message.parts if isinstance(part, Source)]
    more = _judged(question, turn.text, [passage.text for passage in given(turn)], cited)
    tokens = turn.usage.completion_tokens if turn.usage is not None else 0
    evaluation.add(question.key, more["match"], tokens, time.monotonic() - began, **more)


def _judged(question: Question, answer: str, passages: Sequence[str], cited: Sequence[Source]) -> dict[str, Any]:
    """Whether the answer was retrieved, given, and cited."""
    match = _holds([answer], question.answers or (NOT_FOUND,))
    return {
        "question": question.text,
        "expected": list(question.answers),
        "answer": answer,
        "hit": _holds(passages, question.answers),
        "match": match,
        "cites": bool(cited),
        "supported": _holds([source.text for source in cited], question.answers),
    }


def _holds(texts: Sequence[str], answers: Sequence[str]) -> bool:
    return any(f" {plain(answer)} " in f" {plain(text)} " for text in texts for answer in answers)


def plain(text: str) -> str:
    """Words in lower case, compatibility forms unified, without punctuation: how answers are compared."""
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFKC", text).lower()))


def _summed(rows: Sequence[Any]) -> Data:
    answerable = [row for row in rows if row["expected"]]
    others = [row for row in rows if not row["expected"]]
    citing = [row for row in answerable if row["cites"]]
    refused = [row for row in answerable if plain(NOT_FOUND) in plain(row["answer"])]
    shares = {
        "retrieval hits": (sum(row["hit"] for row in answerable), len(answerable)),
        "answers match": (sum(row["match"] for row in answerable), len(answerable)),
        "answers with citations": (len(citing), len(answerable)),
        "citations contain the answer": (sum(row["supported"] for row in citing), len(citing)),
        "wrong refusals": (len(refused), len(answerable)),
        "refusals right": (sum(row["match"] for row in others), len(others)),
    }
    value = {
        name: {"right": right, "total": total, "interval": wilson(right, total)}
        for name, (right, total) in shares.items()
    }
    width = max(len(name) for name in shares)
    lines = []
    for name, (right, total) in shares.items():
        low, high = wilson(right, total)
        share = f"{100 * right / total:5.1f} % ({100 * low:.0f} to {100 * high:.0f} %)" if total else "-"
        lines.append(f"{name:<{width}}  {right:>4} of {total:<4}  {share}")
    return Data("eval.answers", value, "\n".join(lines))
