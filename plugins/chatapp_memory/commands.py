"""`/remember` and `/memory`: add, list, edit, forget, bring back, switch off and on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from chatapp import Data, Part, Rest, Session, Text, UsageError, action, one_line, write_private
from chatapp_memory.notebook import about_tokens, clean
from chatapp_memory.options import MemorySettings
from chatapp_memory.recall import HERE, OFF, here, notebook

THIS, ALL = "this conversation", "all conversations"
MOST_FORGOTTEN = 20
"""How many forgotten facts can be brought back."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A remembered fact: its `number` in the list, its `place` among those of its kind, where it holds."""

    number: int
    place: int
    text: str
    local: bool


async def entries(session: Session) -> list[Entry]:
    """All that is remembered: first what holds everywhere, then what holds here."""
    everywhere = await asyncio.to_thread(notebook(session).texts)
    local = here(session)
    return [
        *(Entry(place + 1, place, text, False) for place, text in enumerate(everywhere)),
        *(Entry(len(everywhere) + place + 1, place, text, True) for place, text in enumerate(local)),
    ]


async def _entry(session: Session, number: int) -> Entry:
    known = await entries(session)
    if not 1 <= number <= len(known):
        there = f"there are 1 to {len(known)}" if known else "nothing is remembered"
        raise UsageError(f"There is no memory {number}: {there}; /memory lists them.")
    return known[number - 1]


def _numbers(session: Session, prefix: str) -> Iterable[str]:
    count = len(notebook(session).texts()) + len(here(session))
    return [str(number) for number in range(1, count + 1)]


async def _check_room(session: Session, text: str, besides: Entry | None = None) -> None:
    limit = session.host.config(MemorySettings).limit
    others = [each.text for each in await entries(session) if each != besides]
    total = sum(map(about_tokens, [*others, text]))
    if total > limit:
        raise UsageError(
            f"With this, what is remembered would be about {total:,} tokens, and at most {limit:,} are kept: "
            "shorten it, forget something with /memory forget N, or raise the setting memory.limit."
        )


@action("remember", tool=True, consent="ask")
async def remember(
    session: Session,
    text: Annotated[str, "A short fact about the user, or how they like answers", Rest()],
    *,
    here: Annotated[bool, "Only in this conversation"] = False,
    everywhere: Annotated[bool, "In all conversations, without being asked"] = False,
) -> str:
    """Remember a short fact or a preference of style, for all conversations or for this one.
    Use it when the user asks to remember something.

    The model reads it before each answer, and no weights of it change. /memory lists what is remembered.
    """
    fact = clean(text)
    known = await entries(session)
    double = next((each.number for each in known if each.text == fact), None)
    if double is not None:
        return f"That is remembered already: number {double} of /memory."
    await _check_room(session, fact)
    if await _where(session, here, everywhere) == THIS:
        session.values[HERE] = [*session.values.get(HERE, []), fact]
        await session.save()
        return f"Remembered in this conversation: {fact}"
    book = notebook(session)
    await asyncio.to_thread(book.add, fact)
    return f"Remembered for all conversations, in {book.path}: {fact}"


async def _where(session: Session, local: bool, everywhere: bool) -> str:
    if local and everywhere:
        raise UsageError("Say either --here or --everywhere.")
    begun = len(session.conversation) > 0
    if local and not begun:
        raise UsageError("There is no conversation yet: send a message first, or leave --here out.")
    # When the model proposes it, the user has just been asked once.
    if local or everywhere or not begun or session.busy:
        return THIS if local else ALL
    chosen = await session.ui.choose("Remember this in", [THIS, ALL])
    if chosen is None:
        raise UsageError("Nothing was remembered: choose, or say --here or --everywhere.")
    return chosen


async def _listing(session: Session) -> AsyncIterator[Part]:
    known = await entries(session)
    rows = [{"number": e.number, "memory": e.text, "holds in": THIS if e.local else ALL} for e in known]
    lines = [f"{e.number:3}. {e.text}" + (" (this conversation)" if e.local else "") for e in known]
    if rows:
        yield Data("memory.list", rows, "\n".join(lines))
    else:
        yield Text("Nothing is remembered yet; /remember TEXT adds something.")
    off = " It is off in this conversation; /memory on." if session.values.get(OFF) else ""
    yield Text(f"Kept as text you can edit in {notebook(session).path}; no weights of the model change.{off}")


@action("memory", shell=False)
async def memory(session: Session) -> AsyncIterator[Part]:
    """List what is remembered, numbered, and say where it is kept."""
    async for part in _listing(session):
        yield part


@action("memory list")
async def memory_list(session: Session) -> AsyncIterator[Part]:
    """List what is remembered, numbered, and say where it is kept."""
    async for part in _listing(session):
        yield part


@action("memory edit")
async def edit(
    session: Session,
    number: Annotated[int, "Its number in /memory", _numbers],
    text: Annotated[str, "The new text", Rest()],
) -> str:
    """Give a memory another text; the model reads the conversation again once."""
    old, new = await _entry(session, number), clean(text)
    await _check_room(session, new, besides=old)
    if old.local:
        texts = list(here(session))
        texts[old.place] = new
        session.values[HERE] = texts
        await session.save()
    else:
        await asyncio.to_thread(notebook(session).replace, old.place, new)
    return f"Number {number} is now: {new}"


@action("memory forget")
async def forget(session: Session, number: Annotated[int, "Its number in /memory", _numbers]) -> str:
    """Forget a memory; /memory restore brings it back."""
    old = await _entry(session, number)
    where = session.conversation.id if old.local else ""
    await asyncio.to_thread(_push, session, {"text": old.text, "place": old.place, "conversation": where})
    if old.local:
        session.values[HERE] = [text for place, text in enumerate(here(session)) if place != old.place]
        await session.save()
    else:
        await asyncio.to_thread(notebook(session).remove, old.place)
    return f"Forgotten: {one_line(old.text, 60)}. /memory restore brings it back."


@action("memory restore")
async def restore(session: Session) -> str:
    """Bring back what was forgotten last."""
    stack = await asyncio.to_thread(_stack, session)
    mine = [each for each in stack if each.get("conversation") in ("", session.conversation.id)]
    if not mine:
        raise UsageError("Nothing was forgotten that could be brought back.")
    last = mine[-1]
    text, place = clean(str(last.get("text", ""))), max(int(last.get("place", 0)), 0)
    await _check_room(session, text)
    if last["conversation"]:
        texts = list(here(session))
        texts.insert(place, text)
        session.values[HERE] = texts
        await session.save()
    else:
        await asyncio.to_thread(notebook(session).insert, place, text)
    stack.remove(last)
    await asyncio.to_thread(_write_stack, session, stack)
    return f"Remembered again: {text}"


@action("memory off", shell=False)
async def off(session: Session) -> str:
    """Read nothing of the memory in this conversation."""
    session.values[OFF] = True
    session.status.pop("memory", None)
    await session.save()
    return "The memory is off in this conversation; /memory on switches it on."


@action("memory on", shell=False)
async def on(session: Session) -> str:
    """Read the memory again in this conversation."""
    session.values.pop(OFF, None)
    await session.save()
    return "The memory is on in this conversation."


def _stack(session: Session) -> list[dict[str, Any]]:
    path = session.host.paths.data / "memory" / "forgotten.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be used ({error}): delete it; only undoing is lost.") from error
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _push(session: Session, forgotten: dict[str, Any]) -> None:
    _write_stack(session, [*_stack(session), forgotten])


def _write_stack(session: Session, stack: list[dict[str, Any]]) -> None:
    path = session.host.paths.data / "memory" / "forgotten.json"
    write_private(path, json.dumps(stack[-MOST_FORGOTTEN:], ensure_ascii=False, indent=1))


ACTIONS = (remember, memory, memory_list, edit, forget, restore, off, on)
