"""`/inspect`: the model, the tokens of the prompt, the probabilities of the answer, and recording these."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

from chatapp import Data, Engine, Event, Session, TokenizingEngine, UsageError, action, read_gguf, visible

# The modules of this plugin are imported where they are used: the commands are declared at every start.


def _models(session: Session, prefix: str) -> Iterable[str]:
    return [installed.name for installed in session.host.models.list()]


@action("inspect")
async def inspect(session: Session, model: Annotated[str, "A model's name or a GGUF file", _models] = "") -> Data:
    """Show what a model is: layers, attention, positions, vocabulary, quantisation, memory; as its GGUF states it."""
    from chatapp_inspect.facts import as_json

    engine = session.host.engines.current()
    path = _path(session, model, engine)
    head = await asyncio.to_thread(read_gguf, path)
    value = as_json(head, _context(engine, path))
    return Data("inspect.model", value, _plain(value))


def _path(session: Session, model: str, engine: Engine | None) -> Path:
    if model:
        return session.host.models.path(model)
    if engine is not None:
        found = engine.info.details.get("path")
        if not found:
            raise UsageError(f"The engine {engine.info.engine!r} reads no GGUF file; name a model: /inspect MODEL.")
        return Path(found)
    return session.host.models.path(session.model)


def _context(engine: Engine | None, path: Path) -> int:
    """The context length the open engine reads this file with; 0 where it is not the open one."""
    same = engine is not None and engine.info.details.get("path") == str(path)
    return engine.info.context_length if same and engine is not None else 0


def _plain(value: dict[str, Any]) -> str:
    width = max(len(fact["name"]) for fact in value["facts"])
    lines = [visible(str(value["path"]))]
    for fact in value["facts"]:
        lines += [f"{fact['name'].ljust(width)}  {fact['value']}", f"{' ' * width}  {fact['meaning']}"]
    return "\n".join([*lines, "", *type_rows(value["types"])])


def type_rows(types: Iterable[dict[str, Any]]) -> Iterable[str]:
    """A table of the tensor types as lines of text."""
    from chatapp_inspect.facts import mega

    yield f"{'TYPE':8}  {'TENSORS':>7}  {'SIZE':>10}  BITS PER WEIGHT"
    for each in types:
        size = mega(each["bytes"])
        yield f"{each['type']:8}  {each['tensors']:>7,}  {size:>10}  {each['bits']:.2f}"


@action("inspect tokens", shell=False)
async def tokens(session: Session) -> AsyncIterator[Event]:
    """Show the last prompt cut into the tokens that the model reads, message by message."""
    from chatapp_inspect.tokens import prompt_part

    turn = session.turn
    if turn is None or turn.request is None:
        raise UsageError("Nothing was sent yet since this conversation was opened: send a message first.")
    async with aclosing(session.warm()) as news:
        async for progress in news:
            yield progress
    engine = session.host.engines.current()
    if not isinstance(engine, TokenizingEngine) or "tokenize" not in engine.info.features:
        name = engine.info.engine if engine is not None else ""
        raise UsageError(f"The engine {name!r} cannot say into which tokens it cuts a prompt.")
    yield prompt_part(await engine.tokenize(turn.request), turn)


@action("inspect answer", shell=False)
async def answer(session: Session) -> Data:
    """Show each token of the last answer by its probability, and what could have stood in its place."""
    from chatapp_inspect.record import recorded
    from chatapp_inspect.tokens import answer_part

    found = recorded(session)
    if not found:
        engine = session.host.engines.current()
        if engine is not None and "logprobs" not in engine.info.features:
            raise UsageError(f"The engine {engine.info.engine!r} does not tell the probabilities of tokens.")
        raise UsageError("No probabilities were recorded for the last answer: /inspect on records those to come.")
    return answer_part(found)


@action("inspect on", shell=False)
async def on(session: Session) -> str:
    """Record token probabilities in this conversation from the next answer on."""
    return await _switch(session, True)


@action("inspect off", shell=False)
async def off(session: Session) -> str:
    """Record no token probabilities in this conversation."""
    return await _switch(session, False)


async def _switch(session: Session, record: bool) -> str:
    from chatapp_inspect.record import RECORD

    session.values[RECORD] = record
    session.status.pop("inspect", None)
    if record:
        session.status["inspect"] = "recording"
    await session.save()
    if record:
        return "Probabilities are recorded from the next answer on; /inspect answer shows them, /inspect off ends it."
    return "Probabilities are no longer recorded in this conversation."


ACTIONS = (inspect, tokens, answer, on, off)
