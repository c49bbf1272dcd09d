"""The end of a training: the adapter goes into the store with its card, and is put beside the model without it."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

from chatapp import ChatappError, Data, Event, Notice, Progress, Session, UsageError, human_bytes, write_private
from chatapp_lora.card import card_of
from chatapp_lora.comparing import Compared, compared, relaid, rows, shown
from chatapp_lora.lesson import human_time
from chatapp_lora.runs import Run, Runs
from chatapp_lora.store import Adapters, Stored
from chatapp_lora.training.plan import Trained

MODELS = "lora-models"
"""Where models are that were trained whole, below chatapp's folder of data."""


async def finished(session: Session, run: Run, trained: Trained) -> AsyncGenerator[Event | str, None]:
    """Store what was trained, drop its checkpoints, and compare; ends with what the user can do with it."""
    card = await asyncio.to_thread(card_of, run.plan, trained, base=run.base, source=run.source)
    name = run.plan.name
    if run.plan.full:
        async with aclosing(_model(session, run, trained, card)) as news:
            async for each in news:
                yield each
        return
    stored = await asyncio.to_thread(Adapters(session.host).add, trained.path, name, card)
    size = human_bytes(stored.path.stat().st_size)
    await asyncio.to_thread(Runs(session.host).forget, name)
    async with aclosing(_compared(session, run, stored)) as events:
        async for event in events:
            yield event
    yield f"{_sentence(name, trained)}, {size}: `/lora {name}` lays it on, `/lora info {name}` shows its card."


def _sentence(name: str, trained: Trained) -> str:
    held = (
        f", held-out loss {trained.held_out:.2f} (best at step {trained.best})" if trained.held_out is not None else ""
    )
    return f"{name} is trained: {trained.steps} steps in {human_time(trained.seconds)}, loss {trained.loss:.2f}{held}"


async def _compared(session: Session, run: Run, stored: Stored) -> AsyncGenerator[Progress | Notice | Data, None]:
    """The comparison, kept on the card too; what keeps it from being made is told, as the adapter is there."""
    examples = run.plan.held_out if run.compare else ()
    if examples and run.base != session.model and session.host.engines.current() is not None:
        # Comparing would close the model that the user talks to.
        yield Notice(f"{stored.name} is not compared: it was made for {run.base}, and {session.model} answers here.")
        examples = ()
    try:
        if not examples:
            await relaid(session)
            return
        async with aclosing(compared(session, run.base, stored.name, examples)) as news:
            async for each in news:
                if isinstance(each, Progress):
                    yield each
                elif each:
                    await asyncio.to_thread(_keep, stored, each)
                    yield shown(each, stored.name)
    except ChatappError as error:
        yield Notice(f"{stored.name} is stored, but not compared: {error}", "warning")


def _keep(stored: Stored, found: list[Compared]) -> None:
    card = {**stored.card, "compared": rows(found)}
    write_private(stored.path.with_suffix(".json"), json.dumps(card, indent=1, ensure_ascii=False))


async def _model(
    session: Session, run: Run, trained: Trained, card: dict[str, object]
) -> AsyncGenerator[Progress | str, None]:
    """A model whose weights were all trained joins the models, under its name."""
    name = run.plan.name
    target = session.host.paths.data / MODELS / f"{name}.gguf"
    await asyncio.to_thread(_move, trained.path, target)
    write_private(target.with_suffix(".json"), json.dumps(card, indent=1, ensure_ascii=False))
    async with aclosing(session.host.models.add(target, name)) as steps:
        async for step in steps:
            yield step
    await asyncio.to_thread(Runs(session.host).forget, name)
    size = human_bytes(target.stat().st_size)
    yield f"{_sentence(name, trained)}, {size}: `/model {name}` answers with it."


def _move(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.move(source, target)
    except OSError as error:
        raise UsageError(f"{source} cannot be moved to {target}: {error.strerror or error}.") from error
