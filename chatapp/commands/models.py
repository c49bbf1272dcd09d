"""Commands about models: the catalogue and those on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

from chatapp.actions import action
from chatapp.commands.table import table
from chatapp.errors import UsageError
from chatapp.events import Progress
from chatapp.messages import Data
from chatapp.progress import human_bytes
from chatapp.session import Session


def _known(session: Session, prefix: str) -> Iterable[str]:
    return session.host.models.catalogue


def _installed(session: Session, prefix: str) -> Iterable[str]:
    return [each.name for each in session.host.models.list()]


@action("models list")
async def list_(session: Session) -> Data:
    """List the models on this machine and those that can be pulled."""
    store, best = session.host.models, session.host.default_model
    here = {each.name: each for each in store.list()}
    rows = []
    for name in dict.fromkeys([*here, *store.catalogue]):
        entry, found = store.catalogue.get(name), here.get(name)
        state = ("damaged" if found.problem else "here") if found else ""
        size = found.size if found else entry.size if entry else 0
        note = "recommended" if name == best else ""
        rows.append((name, human_bytes(size), entry.licence if entry else "", state, note))
    return table("models", ("name", "size", "licence", "state", "note"), rows)


@action("models pull")
async def pull(
    session: Session,
    name: Annotated[str, "A catalogue name, or OWNER/REPOSITORY on the hub", _known],
    file: Annotated[str, "With a hub repository: its .gguf file"] = "",
    *,
    call: Annotated[str, "With a hub repository: the name it gets here"] = "",
) -> AsyncGenerator[Progress | str, None]:
    """Download a model; a download that was interrupted goes on where it stopped."""
    store = session.host.models
    if "/" in name and not file:
        raise UsageError("Name the file too: `models pull OWNER/REPOSITORY FILE.gguf`.")
    async with aclosing(store.pull_hub(name, file, call or None) if file else store.pull(name)) as steps:
        async for step in steps:
            yield step
    yield f"{call or file or name} is ready."


@action("models add")
async def add(
    session: Session,
    file: Annotated[Path, "A .gguf file"],
    *,
    name: Annotated[str, "What to call it"] = "",
    anyway: Annotated[bool, "Take a file that looks damaged"] = False,
) -> AsyncGenerator[Progress | str, None]:
    """Use a GGUF file where it lies; it is never copied, changed or removed."""
    before = {each.name for each in session.host.models.list()}
    async with aclosing(session.host.models.add(file, name or None, anyway=anyway)) as steps:
        async for step in steps:
            yield step
    added = [each.name for each in session.host.models.list() if each.name not in before]
    yield f"Added as {added[0] if added else name or file.stem}; use it with --model or /model."


@action("models info")
async def info(session: Session, name: Annotated[str, "A model", _known]) -> Data:
    """Show what is known about a model."""
    details = session.host.models.info(name)
    facts: dict[str, Any] = {"name": details.name}
    if details.entry is not None:
        entry = details.entry
        facts |= {"title": entry.title, "about": entry.description, "licence": entry.licence}
        facts |= {"parameters": entry.parameters, "context length": f"{entry.context_length:,} tokens"}
        facts |= {"file": entry.file, "size": human_bytes(entry.size), "needs memory": human_bytes(entry.memory)}
        facts |= {"sampling": ", ".join(f"{key} {value}" for key, value in entry.sampling.items())}
    if details.installed is not None:
        here = details.installed
        facts |= {"path": str(here.path), "size": human_bytes(here.size), "sha256": here.sha256}
        facts |= {"problem": here.problem} if here.problem else {}
    facts["checked against"] = details.assurance
    shown = {key: value for key, value in facts.items() if value}
    width = max(len(key) for key in shown)
    return Data("model", shown, "\n".join(f"{key:<{width}}  {value}" for key, value in shown.items()))


@action("models path")
async def path(session: Session, name: Annotated[str, "A model", _installed]) -> str:
    """Show where a model's file is."""
    return str(session.host.models.path(name))


@action("models verify")
async def verify(session: Session, name: Annotated[str, "A model", _installed]) -> AsyncGenerator[Progress | str, None]:
    """Read a model's file whole and compare its SHA-256."""
    async with aclosing(session.host.models.verify(name)) as steps:
        async for step in steps:
            yield step
    yield f"{name} is intact."


@action("models rm")
async def rm(session: Session, name: Annotated[str, "A model", _installed], *, now: bool = False) -> str:
    """Remove a model; `models restore` brings it back until `models purge` (or --now) frees the disk."""
    removed = await asyncio.to_thread(session.host.models.remove, name)
    if removed.in_place:
        return f"{removed.name} is forgotten; its file {removed.path} was not touched."
    if now:
        freed = await asyncio.to_thread(session.host.models.purge)
        return f"{removed.name} is removed; {human_bytes(freed)} are free again."
    size = human_bytes(removed.freed)
    return f"{removed.name} is in the trash: `models restore` brings it back, `models purge` frees {size}."


@action("models restore")
async def restore(session: Session, name: Annotated[str, "A model; empty is the last removed"] = "") -> str:
    """Bring a removed model back."""
    return f"{(await asyncio.to_thread(session.host.models.restore, name or None)).name} is back."


@action("models purge")
async def purge(session: Session) -> str:
    """Delete removed models for good; this cannot be undone."""
    return f"{human_bytes(await asyncio.to_thread(session.host.models.purge))} are free again."
