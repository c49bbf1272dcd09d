"""Taking an adapter in: from a GGUF file, a PEFT folder or the hub, tried on the model before it is kept."""

from __future__ import annotations

import asyncio
import hashlib
import re
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

from chatapp import Adapter, AdapterFacts, AdaptingEngine, Engine, EngineError, Progress, Session, UsageError, read_gguf
from chatapp_lora.mixing import shape
from chatapp_lora.store import Adapters, Stored, check_name

HUB = re.compile(r"([\w.-]+/[\w.-]+)/([\w./-]+\.gguf)")


async def added(session: Session, source: str, name: str, model: str = "") -> AsyncGenerator[Progress | Stored, None]:
    """Take in what `source` names and end with what is now stored; UsageError or EngineError where it is no good.

    `model` is the one it is tried on, otherwise the one that answers.
    """
    adapters = Adapters(session.host)
    name = name or _name_for(source)
    check_name(name)
    if adapters.own(name) and not await session.ui.confirm(f"Replace the adapter {name}?", "It goes to the trash."):
        raise UsageError(f"There is an adapter called {name} already: give another name.")
    session.host.paths.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=session.host.paths.cache) as scratch:
        file = Path(scratch) / "adapter.gguf"
        async with aclosing(_fetched(session, source, file, model or session.model)) as steps:
            async for step in steps:
                yield step
        async with aclosing(session.host.engines.ready(session, model=model)) as news:
            async for progress in news:
                yield progress
        yield Progress(f"Trying {name}")
        card = await examined(session, file, name)
        yield await asyncio.to_thread(adapters.add, file, name, {"source": source, **card})


async def _fetched(session: Session, source: str, file: Path, model: str) -> AsyncGenerator[Progress, None]:
    path = Path(source).expanduser()
    hub = HUB.fullmatch(source)
    if path.is_dir():
        yield Progress(f"Converting {path.name}")
        from chatapp_lora.training.converting import convert_peft

        base = await asyncio.to_thread(read_gguf, session.host.models.path(model))
        await asyncio.to_thread(convert_peft, path, file, base)
    elif path.is_file():
        yield Progress(f"Reading {path.name}")
        # The user's file must not change between the trial and the copy that is kept.
        await asyncio.to_thread(_copy, path, file)
    elif hub is not None:
        async with aclosing(session.host.models.pull_file(hub[1], hub[2], file)) as steps:
            async for step in steps:
                yield step
    else:
        raise UsageError(
            f"There is no {source}: name a .gguf file, a PEFT folder, or a file on the hub: OWNER/REPOSITORY/FILE.gguf."
        )


def _copy(path: Path, file: Path) -> None:
    import shutil

    try:
        shutil.copyfile(path, file)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error


async def examined(session: Session, file: Path, name: str) -> dict[str, Any]:
    """The card of an adapter that the open model can take."""
    engine = session.host.engines.current()
    if not isinstance(engine, AdaptingEngine) or "adapters" not in engine.info.features:
        raise UsageError("The open model takes no adapters: choose a local one with /model.")
    try:
        facts = await engine.examine(Adapter(name, str(file)))
    except EngineError as error:
        # The file's name is that of a copy, which tells nobody anything.
        raise EngineError(str(error).replace(str(file), name)) from error
    return await asyncio.to_thread(card_of, engine, file, facts)


def card_of(engine: Engine, file: Path, facts: AdapterFacts) -> dict[str, Any]:
    """What is known of an adapter's file and of the model it was tried on."""
    metadata = engine.info.details.get("metadata", {})
    model = {key: int(value) if str(value).isdigit() else value for key, value in metadata.items()}
    with file.open("rb") as source:
        sha256 = hashlib.file_digest(source, "sha256").hexdigest()
    return {
        "rank": facts.rank,
        "alpha": facts.alpha,
        "targets": list(facts.targets),
        "bytes": facts.bytes,
        "invocation": facts.invocation_text,
        "base": engine.info.model,
        **shape(model),
        "sha256": sha256,
        "added": time.strftime("%Y-%m-%d"),
    }


def _name_for(source: str) -> str:
    path = Path(source)
    stem = path.stem if path.suffix == ".gguf" else path.name
    return re.sub(r"[^a-z0-9_-]+", "-", stem.lower()).strip("-")[:64]
