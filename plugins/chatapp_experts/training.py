"""`/experts train`: fits the head on labelled messages, in a second or two, and says how well it will do."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from chatapp import EngineError, Event, Progress, Session, Tally, UsageError, reported
from chatapp_experts.files import Expert
from chatapp_experts.head import NONE, Head, digest, features, place, save
from chatapp_experts.labelled import MESSAGES, Labelled, load
from chatapp_experts.shelf import shelf
from chatapp_experts.vectors import identity, open_embedder

STRENGTH = 30.0
"""The inverse of the regularisation (scikit-learn's C): of 1 to 100 among the best on the tuning messages."""
TEMPERATURE = 0.5
"""Fitted so, probabilities are too careful: divided by this, the tuning messages are likeliest."""
LEAST = 8
"""Examples that an expert must have before a head is fitted; with fewer, likeness judges better."""
FOLDS = 5
DIGITS = 3
"""Decimals of a weight that are kept."""


async def trained(session: Session, files: Sequence[Path], out: Path | None) -> AsyncGenerator[Event | str, None]:
    """Fit a head for the experts there are, on these files and the experts' own examples, and put it in force."""
    if find_spec("sklearn") is None:
        raise EngineError("scikit-learn is not installed; pip install 'chatapp[experts]' would.")
    experts = await asyncio.to_thread(shelf(session.host).experts)
    rows = await asyncio.to_thread(_rows, experts, files or (MESSAGES / "train.jsonl", MESSAGES / "tune.jsonl"))
    embedder = await open_embedder(session)
    read: list[list[float]] = []

    async def embed(report: Any) -> None:
        read.extend(await embedder.embed([row.text for row in rows], report=report))

    async with aclosing(reported(embed)) as news:
        async for progress in news:
            yield progress
    yield Progress(f"Learning from {len(rows)} messages")
    head, right = await asyncio.to_thread(_fit, rows, read, experts, identity(embedder))
    await asyncio.to_thread(save, out or place(session.host), head)
    low, high = Tally(right, len(rows)).interval
    yield (
        f"The gate learnt from {len(rows)} messages for {len(experts)} experts. In a cross-validation "
        f"{100 * right / len(rows):.0f} % of new messages were put right ({100 * low:.0f} to {100 * high:.0f} %)."
    )


def _rows(experts: Sequence[Expert], files: Sequence[Path]) -> list[Labelled]:
    """Every message once: the files', then the experts' own examples."""
    known = {expert.name for expert in experts}
    rows = [row for file in files for row in load(file.expanduser(), {*known, NONE})]
    rows += [Labelled(text, expert.name) for expert in experts for text in expert.file.examples]
    every = {row.text: row for row in reversed(rows)}
    counts = Counter(row.expert for row in every.values())
    for name in (*sorted(known), NONE):
        if counts[name] < LEAST:
            raise UsageError(
                f"There are {counts[name]} messages for {name!r}, and {LEAST} are needed to learn from: add some to "
                + ("the file." if name == NONE else "the file, or to the examples of that expert.")
            )
    return list(every.values())


def _fit(
    rows: Sequence[Labelled], vectors: Sequence[Sequence[float]], experts: Sequence[Expert], model: str
) -> tuple[Head, int]:
    """The head, and how many messages it puts right when it was fitted without them."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    inputs = [features(row.text, vector) for row, vector in zip(rows, vectors, strict=True)]
    labels = [row.expert for row in rows]
    regression = LogisticRegression(C=STRENGTH, max_iter=2000)
    guessed = cross_val_predict(regression, inputs, labels, cv=StratifiedKFold(FOLDS, shuffle=True, random_state=0))
    regression.fit(inputs, labels)
    weights = tuple(tuple(round(float(value) / TEMPERATURE, DIGITS) for value in row) for row in regression.coef_)
    head = Head(
        model,
        {expert.name: digest(*expert.texts) for expert in experts},
        tuple(map(str, regression.classes_)),
        weights,
        tuple(round(float(value) / TEMPERATURE, DIGITS) for value in regression.intercept_),
        tuple(sorted(row.key for row in rows)),
    )
    return head, sum(guess == label for guess, label in zip(guessed, labels, strict=True))
