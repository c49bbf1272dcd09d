"""`chatapp eval fewshot`: how many examples of a set pay, measured on rows of the set that are shown to nobody."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

from chatapp import (
    Data,
    Engine,
    EngineError,
    Evaluation,
    Event,
    Finished,
    Message,
    Progress,
    Request,
    Sampling,
    Session,
    Tally,
    Text,
    TextDelta,
    Usage,
    UsageError,
    user,
)
from chatapp_fewshot.choice import Choice
from chatapp_fewshot.comparing import prepare, way
from chatapp_fewshot.examples import SEED, Example, ExampleSet, split, spread
from chatapp_fewshot.laying import fit, lay, ordered
from chatapp_fewshot.library import Library
from chatapp_fewshot.options import FewshotSettings

GREEDY = Sampling(temperature=0.0, repeat_penalty=1.0, presence_penalty=0.0)
LONGEST_ANSWER = 256
"""Tokens of an answer at most, however long the outputs of the set are."""


@dataclass(frozen=True, slots=True)
class _Run:
    """One evaluation: who answers, what it is asked, what it may be shown, and where the rows are kept."""

    session: Session
    engine: Engine
    pool: ExampleSet
    asked: tuple[Example, ...]
    kept: Evaluation
    max_tokens: int

    def key(self, k: str, example: Example) -> str:
        """The name of one row; with "similar" it says how examples were compared."""
        return f"{k}{f' by {way(self.session.host)}' if k == 'similar' else ''}/{example.key}"


async def score(
    session: Session, name: str, k: str, limit: int, out: Path | None, seed: int = SEED
) -> AsyncGenerator[Event, None]:
    """Ask about the held-out rows of a set with each number of examples in `k`; ends with a table.

    `limit` rows at most (0: all), kept in `out`; rows that are there already are not asked about again. `seed` says
    which rows are held out.
    """
    chosen = await asyncio.to_thread(Library(session.host).read, name)
    held, pool = split(chosen.examples, seed)
    if len(held) < 2:
        raise UsageError(f"The set {name!r} has {len(chosen.examples)} examples: an evaluation needs five at least.")
    ks = _counts(k, len(pool))
    asked = held[:limit] if limit > 0 else held
    async with aclosing(session.host.engines.ready(session)) as news:
        async for progress in news:
            yield progress
    engine = session.host.engines.current()
    assert engine is not None
    run = _Run(
        session, engine, replace(chosen, examples=tuple(pool)), tuple(asked), _kept(session, chosen, engine, out, seed),
        await _room(engine, chosen),
    )  # fmt: skip
    if "similar" in ks:
        async with aclosing(prepare(session, run.pool, again=True)) as steps:
            async for step in steps:
                yield step
    for each in ks:
        async with aclosing(_score(run, each)) as steps:
            async for step in steps:
                yield step
    yield _table(run, ks)


def _counts(k: str, most: int) -> list[str]:
    words = list(dict.fromkeys(word.strip() for word in k.split(",") if word.strip()))
    for word in words:
        if word != "similar" and not (word.isdecimal() and int(word) <= most):
            raise UsageError(f"{word!r} is no number of examples: say `similar` or 0 to {most}, as in --k 0,3,similar.")
    if not words:
        raise UsageError("Say how many examples to show, as in --k 0,3,similar.")
    return words


def _kept(session: Session, chosen: ExampleSet, engine: Engine, out: Path | None, seed: int) -> Evaluation:
    settings = {
        "evaluation": "fewshot",
        "set": chosen.digest,
        "model": engine.info.model,
        "seed": seed,
        **session.host.config(FewshotSettings).model_dump(),
    }
    model = hashlib.sha256(engine.info.model.encode()).hexdigest()[:8]
    default = session.host.paths.data / "evaluations" / f"fewshot-{chosen.name}-{model}.jsonl"
    return Evaluation(out.expanduser() if out is not None else default, settings)


async def _room(engine: Engine, chosen: ExampleSet) -> int:
    """Tokens for an answer: what the longest output takes, and a few so that a longer one is seen to be wrong."""
    counts = await engine.count_tokens([each.output for each in chosen.examples])
    return min(max(counts) + 4, LONGEST_ANSWER)


async def _score(run: _Run, k: str) -> AsyncGenerator[Progress, None]:
    """Ask about each row that was not asked about yet, with the examples of `k`."""
    label = f"{run.pool.name}, {k} examples"
    for number, row in enumerate(run.asked):
        yield Progress(label, number, len(run.asked), "rows")
        key = run.key(k, row)
        if key in run.kept.done:
            continue
        request = Request(await _prompt(run, k, row), replace(GREEDY, max_tokens=run.max_tokens))
        begin = time.monotonic()
        said, usage = await _answer(run.engine, request)
        seconds = time.monotonic() - begin
        tokens = usage.prompt_tokens + usage.completion_tokens
        right = normal(said) == normal(row.output)
        await asyncio.to_thread(run.kept.add, key, right, tokens, seconds, said=said[:200], wanted=row.output)
    yield Progress(label, len(run.asked), len(run.asked), "rows")


async def _prompt(run: _Run, k: str, row: Example) -> tuple[Message, ...]:
    host, pool = run.session.host, run.pool.examples
    settings = host.config(FewshotSettings)
    budget = min(settings.tokens, run.engine.info.context_length // 2)
    if k == "similar":
        order = await ordered(run.session, run.pool, Choice(run.pool.name, "similar", settings.count), row.input)
    else:
        order = spread(pool)[: int(k)]
    places = await fit(host, run.engine, pool, order, budget)
    instruction = run.pool.instruction
    system = (Message("system", (Text(instruction),), "system", 0.0),) if instruction else ()
    return (*system, *lay(pool, places, similar=k == "similar"), user(row.input))


async def _answer(engine: Engine, request: Request) -> tuple[str, Usage]:
    said, usage = "", Usage()
    async with aclosing(engine.stream(request)) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                said += event.text
            elif isinstance(event, Usage):
                usage = event
            elif isinstance(event, Finished) and event.reason == "failed":
                raise EngineError(event.error)
    return said, usage


def normal(text: str) -> str:
    """An answer without what does not count: case, white space, quotes and other marks around it."""
    return " ".join(text.split()).strip(" \"'`*_.:,;!#()[]").casefold()


def _table(run: _Run, ks: Sequence[str]) -> Data:
    columns = ("examples", "right", "of", "accuracy", "interval", "tokens", "seconds")
    lines, value = [], []
    for k in ks:
        rows = [run.kept.done[run.key(k, row)] for row in run.asked]
        tally = Tally(
            sum(bool(row["right"]) for row in rows), len(rows), sum(row["tokens"] for row in rows),
            sum(row["seconds"] for row in rows),
        )  # fmt: skip
        low, high = tally.interval
        shown = f"similar, by {way(run.session.host)}" if k == "similar" else k
        value.append(
            {"k": k, "shown": shown, "right": tally.right, "total": tally.total, "accuracy": tally.accuracy,
             "low": low, "high": high, "tokens": tally.tokens, "seconds": tally.seconds}
        )  # fmt: skip
        lines.append(
            (shown, f"{tally.right}", f"{tally.total}", f"{100 * tally.accuracy:.1f} %",
             f"{100 * low:.1f} to {100 * high:.1f} %", f"{tally.tokens:,}", f"{tally.seconds:,.0f}")
        )  # fmt: skip
    cells = [[column.upper() for column in columns], *lines]
    widths = [max(len(line[place]) for line in cells) for place in range(len(columns))]
    text = "\n".join(
        "  ".join(c.ljust(w) if n == 0 else c.rjust(w) for n, (c, w) in enumerate(zip(line, widths, strict=True)))
        for line in cells
    )
    note = f"{run.pool.name}, {run.engine.info.model}: {len(run.asked)} rows held out, examples from the other "
    note += f"{len(run.pool.examples)}; tokens read and written; rows in {run.kept.path}"
    return Data("fewshot.evaluation", value, f"{note}\n\n{text}")
