"""`/lora` and what is below it; training is in `train_commands`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

from chatapp import Data, Event, Notice, Progress, Session, UsageError, action, human_bytes, table
from chatapp_lora.costs import reread, sentence
from chatapp_lora.mixing import choose, chosen, parsed, served, show, written
from chatapp_lora.store import Adapters, Stored

MERGER = "chatapp_lora.training.merger:Merger"


def _names(session: Session, prefix: str) -> Iterable[str]:
    return Adapters(session.host).names()


def _names_and_off(session: Session, prefix: str) -> Iterable[str]:
    return [*dict.fromkeys([*_names(session, prefix), *served(session)]), "off"]


Name = Annotated[str, "An adapter", _names]


@action("lora", ask=True, shell=False)
async def lora(
    session: Session, *mix: Annotated[str, "Adapters, as NAME or NAME=SCALE; or off", _names_and_off]
) -> str | Data:
    """Lay adapters over the model from the next answer on; without a name, list them.

    Scales: 1 as trained, 0.5 half as strong. `/lora off` takes the model as it is. Nothing is loaded again.
    """
    if not mix or mix == ("list",):
        return await list_.function(session)  # type: ignore[no-any-return]
    # As an option of the shell a whole mix may come as one word: --lora "brief json=0.5".
    words = [word for each in mix for word in each.split()]
    before = chosen(session)
    after = {} if words == ["off"] else parsed(words, Adapters(session.host), served(session))
    tokens = reread(session, before, after)
    choose(session, after)
    cost = sentence(session, tokens)
    show(session, after, f"reads {tokens:,} tokens again" if tokens else "")
    await session.save()
    if not after:
        return f"No adapter from now on: {cost}." if before else "No adapter is on."
    return f"From now on with {written(after)}: {cost}."


@action("lora list")
async def list_(session: Session) -> Data:
    """List the adapters: which are on and how strongly, what they do, and what they were made for."""
    adapters = Adapters(session.host)
    stored = await asyncio.to_thread(lambda: [adapters.get(name) for name in adapters.names()])
    mix = chosen(session)
    rows = [(_scale(mix, each.name), each.name, _kind(each), _base(each), _about(each)) for each in stored]
    rows += [(_scale(mix, name), name, "the server's", session.model, "") for name in served(session)]
    return table("lora", ("on", "adapter", "kind", "made for", "what it does"), rows, "No adapter is here yet.")


def _scale(mix: dict[str, float], name: str) -> str:
    return f"{mix[name]:g}" if name in mix else ""


def _kind(stored: Stored) -> str:
    return "activated" if stored.invocation else "ordinary"


def _base(stored: Stored) -> str:
    return str(stored.card.get("base") or "unknown")


def _about(stored: Stored) -> str:
    return str(stored.card.get("description") or stored.card.get("title") or "")


@action("lora add")
async def add(
    session: Session,
    source: Annotated[str, "A .gguf adapter, a PEFT folder, or OWNER/REPOSITORY/FILE.gguf on the hub"],
    name: Annotated[str, "What to call it"] = "",
    *,
    model: Annotated[str, "The model it was made for; otherwise the one that answers"] = "",
) -> AsyncGenerator[Progress | str, None]:
    """Take in an adapter, after trying it on the model; a bad one is refused with the reason."""
    # Imported here: every start of chatapp reads this file for its declarations.
    from chatapp_lora.adding import added

    async with aclosing(added(session, source, name, model)) as steps:
        async for step in steps:
            if isinstance(step, Stored):
                yield f"{step.name} is here ({human_bytes(int(step.card['bytes']))}): `/lora {step.name}` lays it on."
            else:
                yield step


@action("lora rm")
async def rm(session: Session, name: Name) -> str:
    """Remove an adapter; `lora restore` brings it back."""
    await asyncio.to_thread(Adapters(session.host).remove, name)
    mix = chosen(session)
    if mix.pop(name, None) is not None:
        choose(session, mix)
        await session.save()
    return f"{name} is in the trash: `lora restore {name}` brings it back."


@action("lora restore")
async def restore(session: Session, name: Annotated[str, "An adapter; empty is the last removed"] = "") -> str:
    """Bring a removed adapter back."""
    return f"{(await asyncio.to_thread(Adapters(session.host).restore, name)).name} is back."


@action("lora info")
async def info(session: Session, name: Name) -> Data:
    """Show an adapter's card: what it does, from what it was made, and how well it does it."""
    from chatapp_lora.card import markdown

    stored = await asyncio.to_thread(Adapters(session.host).get, name)
    card = {"name": name, "path": str(stored.path), **stored.card}
    return Data("lora.card", card, markdown(card))


@action("lora merge", beside=True)
async def merge(
    session: Session,
    *mix: Annotated[str, "Adapters, as NAME or NAME=SCALE", _names],
    out: Annotated[Path, "The .gguf to write"],
    base: Annotated[str, "The model; otherwise the one that answers"] = "",
) -> AsyncGenerator[Event | str, None]:
    """Write a model of its own with adapters merged into its weights, for programs that take no adapters."""
    adapters = Adapters(session.host)
    wanted = parsed(mix, adapters)
    for name in wanted:
        if adapters.get(name).invocation:
            yield Notice(f"{name} is an activated adapter: merged, it is on from the first word.", "warning")
    files = [(adapters.get(name).path, scale) for name, scale in wanted.items()]
    target = out.expanduser().absolute()
    if target.exists() and not await session.ui.confirm(f"{target} exists already. Replace it?"):
        raise UsageError(f"{target} is kept; give another name with --out.")
    worker = session.host.workers.add("merging", MERGER)
    try:
        path = session.host.models.path(base or session.model)
        async with aclosing(worker.stream("merge", path, files, target, background=True)) as steps:
            async for step in steps:
                yield step
    finally:
        await worker.close()
    yield f"{target} is written ({human_bytes(target.stat().st_size)}): `models add {target}` makes it known."
