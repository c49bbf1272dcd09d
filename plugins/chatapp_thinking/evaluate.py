"""`chatapp eval gsm8k`: how often answers to word problems are right, with thinking and without.

The format is GSM8K's (Cobbe et al., 2021, arXiv:2110.14168): JSON lines of `question` and `answer`, the latter ending
in "#### 18". Each question is answered in a conversation of its own, by the very code that answers in the chat.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from chatapp import (
    Data,
    Evaluation,
    Event,
    Notice,
    Progress,
    Reasoning,
    Session,
    Tally,
    Turn,
    UsageError,
    completed,
    read_text,
)
from chatapp_thinking.answers import final_number, numbers, written
from chatapp_thinking.choice import Choice, choose
from chatapp_thinking.plan import STEPS

DIRECT = "Give only the number. Do not explain anything."
"""What is asked for without thinking."""
SAMPLING = {"temperature": 0.0, "repeat_penalty": 1.0, "max_tokens": 1024}
"""Greedy, so that a run can be repeated; votes have the temperature of votes."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A word problem and the number that answers it."""

    question: str
    answer: Decimal

    @property
    def key(self) -> str:
        """What it is known by in a file of results."""
        return hashlib.sha256(self.question.encode()).hexdigest()[:16]


def load(path: Path, skip: int = 0, limit: int | None = None) -> list[Problem]:
    """The problems of a file; UsageError names the line that is none."""
    lines = read_text(path).splitlines()
    rows = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    chosen = rows[skip : None if limit is None else skip + limit]
    if not chosen:
        raise UsageError(f"{path} has no questions there; it has {len(rows)} in all.")
    return [_problem(line, f"{path}, line {number}") for number, line in chosen]


def _problem(line: str, where: str) -> Problem:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UsageError(f"{where}: this is no JSON ({error}).") from None
    question, answer = (row.get("question"), row.get("answer")) if isinstance(row, dict) else (None, None)
    if not isinstance(question, str) or not isinstance(answer, str) or not question.strip():
        raise UsageError(f'{where}: a row has to be an object with the texts "question" and "answer".')
    found = numbers(answer.rpartition("####")[2]) if "####" in answer else []
    if len(found) != 1:
        raise UsageError(f'{where}: the answer has to end in "#### " and one number.')
    return Problem(question, found[0])


async def measured(
    session: Session, file: Path, choice: Choice, *, skip: int, limit: int | None, out: Path | None, model: str
) -> AsyncGenerator[Event, None]:
    """Answer the problems that are not answered yet, and say what all of them come to."""
    problems, name = load(file, skip, limit), model or session.model
    settings = {"model": name, "think": asdict(choice), "prompt": prompt_version(choice), "sampling": SAMPLING}
    evaluation = Evaluation(out or _default_out(session, name, choice), settings)
    left = [problem for problem in problems if problem.key not in evaluation.done]
    if len(left) < len(problems):
        yield Notice(f"{len(problems) - len(left)} of {len(problems)} are answered already in {evaluation.path}.")
    for problem in left:
        done = _tally(evaluation, problems)
        yield Progress(f"{done.right} of {done.total} right", done.total, len(problems), "questions")
        async with aclosing(_measure(session, problem, choice, name, evaluation)) as events:
            async for event in events:
                yield event
    tally = _tally(evaluation, problems)
    yield Data("eval.gsm8k", {**asdict(tally), "accuracy": tally.accuracy, "interval": tally.interval}, tally.line())


def prompt_version(choice: Choice) -> str:
    """What changes when the wording of the request does: results of different prompts are not mixed."""
    return hashlib.sha256((DIRECT if choice.mode == "off" else STEPS).encode()).hexdigest()[:8]


def _default_out(session: Session, model: str, choice: Choice) -> Path:
    name = re.sub(r"[^\w.-]+", "-", f"gsm8k-{Path(model).name}-{choice.label or 'off'}")
    return session.host.paths.data / "evaluations" / f"{name}.jsonl"


def _tally(evaluation: Evaluation, problems: list[Problem]) -> Tally:
    # The file may hold more than was asked for now: rows of an earlier, longer run.
    rows = [evaluation.done[key] for key in dict.fromkeys(each.key for each in problems) if key in evaluation.done]
    tokens, seconds = sum(int(row["tokens"]) for row in rows), sum(float(row["seconds"]) for row in rows)
    return Tally(sum(bool(row["right"]) for row in rows), len(rows), tokens, seconds)


async def _measure(
    session: Session, problem: Problem, choice: Choice, model: str, evaluation: Evaluation
) -> AsyncGenerator[Event, None]:
    """Answer one problem and keep the result; what is worth telling meanwhile is the loading of the model."""
    fresh = Session(session.host, ui=session.ui, keep=False)
    fresh.values.update(model=model, sampling=dict(SAMPLING))
    choose(fresh, choice)
    async with aclosing(fresh.warm()) as news:
        async for progress in news:
            yield progress
    asked = f"{DIRECT}\n\n{problem.question}" if choice.mode == "off" else problem.question
    began = time.monotonic()
    turn = await completed(fresh, asked)
    _keep(turn, problem, time.monotonic() - began, evaluation)


def _keep(turn: Turn, problem: Problem, seconds: float, evaluation: Evaluation) -> None:
    thoughts = [part.text for answer in turn.answers for part in answer.parts if isinstance(part, Reasoning)]
    number = final_number(turn.text, problem.question, last=not thoughts)
    more: dict[str, Any] = {
        "question": problem.question,
        "expected": written(problem.answer),
        "got": written(number) if number is not None else None,
        "answer": turn.text,
        "reasoning": "\n\n".join(thoughts),
    }
    tokens = turn.usage.completion_tokens if turn.usage is not None else 0
    evaluation.add(problem.key, number == problem.answer, tokens, seconds, **more)
