"""`chatapp eval tools`: how often a model calls the right tool with the right arguments."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from chatapp import (
    Data,
    Engine,
    EngineError,
    Evaluation,
    Event,
    Finished,
    Message,
    Notice,
    Progress,
    Request,
    Sampling,
    Session,
    Tally,
    Text,
    TextDelta,
    ToolCall,
    Usage,
    action,
)
from chatapp_tools.bfcl import Case, fits, load, named_right, right
from chatapp_tools.wording import INSTRUCTIONS

SAMPLING = Sampling(temperature=0.0, repeat_penalty=1.0, max_tokens=512)
"""Greedy, so that a run can be repeated."""
WRITTEN = re.compile(r'<tool_call>|\[TOOL_CALLS\]|<\|python_tag\|>|\{\s*"name"\s*:\s*"[^"]*"\s*,\s*"(arg|param)')
"""A call that came as text: it did not parse."""


@action("eval tools")
async def eval_tools(
    session: Session,
    file: Annotated[Path, "Questions, functions and calls, JSON lines as those of the Berkeley benchmark"],
    *,
    limit: Annotated[int | None, "Only so many cases"] = None,
    only: Annotated[str, "Only this category"] = "",
    out: Annotated[Path | None, "Where the results are kept, to go on from after a stop"] = None,
    model: Annotated[str, "The model that answers"] = "",
) -> AsyncGenerator[Event, None]:
    """Measure how often the model calls the right tools with the right arguments, and none where none fits.

    Nothing is run. Prints each category with its 95 % interval. A run that was stopped goes on where it was.
    """
    cases, name = load(file, only)[:limit], model or session.model
    evaluation = Evaluation(out or _default_out(session, name), {"model": name, "prompt": version()})
    async with aclosing(_answered(session, cases, name, evaluation)) as events:
        async for event in events:
            yield event
    rows = [evaluation.done[case.key] for case in cases]
    yield Data("eval.tools", figures(rows), "\n".join(lines(rows)))


def version() -> str:
    """What changes with what is asked: results of different prompts are not mixed."""
    return hashlib.sha256(f"{INSTRUCTIONS} {SAMPLING}".encode()).hexdigest()[:8]


def _default_out(session: Session, model: str) -> Path:
    name = re.sub(r"[^\w.-]+", "-", f"tools-{Path(model).name}")
    return session.host.paths.data / "evaluations" / f"{name}.jsonl"


async def _answered(
    session: Session, cases: list[Case], model: str, evaluation: Evaluation
) -> AsyncGenerator[Event, None]:
    """Answer the cases that are not answered yet."""
    left = [case for case in cases if case.key not in evaluation.done]
    if len(left) < len(cases):
        yield Notice(f"{len(cases) - len(left)} of {len(cases)} are answered already in {evaluation.path}.")
    fresh = Session(session.host, ui=session.ui, keep=False)
    fresh.values["model"] = model
    for place, case in enumerate(left):
        async with aclosing(fresh.warm()) as news:
            async for progress in news:
                yield progress
        yield Progress("Answering", len(cases) - len(left) + place, len(cases), "cases")
        engine = session.host.engines.current()
        assert engine is not None
        said = await ask(engine, case)
        evaluation.add(case.key, judged(case, said), said.tokens, said.seconds, **_row(case, said))


@dataclass(slots=True)
class Said:
    """What a model answered: its calls and its text, tokens and seconds; `lost` where a call was cut."""

    calls: list[ToolCall] = field(default_factory=list)
    text: str = ""
    tokens: int = 0
    seconds: float = 0.0
    lost: bool = False

    def take(self, event: Event) -> None:
        """Note an event; EngineError when the answer failed."""
        if isinstance(event, ToolCall):
            self.calls.append(event)
        elif isinstance(event, TextDelta):
            self.text += event.text
        elif isinstance(event, Usage):
            self.tokens = event.completion_tokens
        elif isinstance(event, Notice):
            self.lost = True
        elif isinstance(event, Finished) and event.reason == "failed":
            raise EngineError(event.error)


async def ask(engine: Engine, case: Case) -> Said:
    """What the model answers to a case."""
    said, began = Said(), time.monotonic()
    messages = case.messages
    if messages[0].role != "system":
        messages = (Message("system", (Text(INSTRUCTIONS),)), *messages)
    async with aclosing(engine.stream(Request(messages, SAMPLING, case.tools))) as events:
        async for event in events:
            said.take(event)
    said.seconds = time.monotonic() - began
    return said


def judged(case: Case, said: Said) -> bool:
    """Whether the answer is right; where any call will do (the benchmark's "relevance"), whether there is one."""
    if not case.truth and re.search(r"(?<!ir)relevance", case.category):
        return bool(said.calls)
    return right(case, said.calls)


def _row(case: Case, said: Said) -> dict[str, Any]:
    parsed = not said.lost and not WRITTEN.search(said.text)
    return {
        "category": case.category,
        "wanted": [dict(each) for each in case.truth],
        "called": [{call.name: dict(call.arguments)} for call in said.calls],
        "text": said.text,
        "valid": parsed and all(fits(call, case.tools) for call in said.calls),
        "function": named_right(case, said.calls),
    }


def figures(rows: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The same as `lines`, as JSON."""
    return {
        name: {
            "right": tally.right,
            "total": tally.total,
            "accuracy": tally.accuracy,
            "interval": tally.interval,
            "valid": _count(of, "valid"),
            "called": sum(bool(row["called"]) for row in of),
            "function": _count(of, "function"),
        }
        for name, of in _categories(rows)
        for tally in [_tally(of, "right")]
    }


def lines(rows: list[Mapping[str, Any]]) -> Iterable[str]:
    """What each category came to, in a sentence each, and all of them together."""
    for name, of in _categories(rows):
        called = [row for row in of if row["called"]]
        wanted = [row for row in of if row["wanted"]]
        yield f"{name}: {_tally(of, 'right').line()}"
        if wanted:
            yield f"  right function: {_count(wanted, 'function')} of {len(wanted)}"
        yield f"  answers with calls: {len(called)}; that parse and validate: {_count(of, 'valid')} of {len(of)}"


def _categories(rows: list[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    names = sorted({str(row["category"]) for row in rows})
    split = [(name, [row for row in rows if row["category"] == name]) for name in names]
    return [*split, ("all", rows)] if len(names) > 1 else split


def _count(rows: list[Mapping[str, Any]], key: str) -> int:
    return sum(bool(row[key]) for row in rows)


def _tally(rows: list[Mapping[str, Any]], key: str) -> Tally:
    numbers: Callable[[str], float] = lambda name: sum(float(row[name]) for row in rows)  # noqa: E731 - two uses
    return Tally(_count(rows, key), len(rows), int(numbers("tokens")), numbers("seconds"))
