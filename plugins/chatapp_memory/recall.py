"""What the model reads of the memory, laid out so that remembering one thing more does not make it read all again.

What is known when a conversation begins stands in the system message and stays there unchanged. What is added later
stands beside the next message of the user, is read once there, and joins the system message in the next new
conversation. What is forgotten or edited leaves the prompt at once; then, and only then, the rest is read again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from chatapp import Block, Message, Session, Turn
from chatapp_memory.notebook import Notebook, about_tokens
from chatapp_memory.options import MemorySettings

HERE = "memory.here"
"""In the conversation's values: facts for it alone, a list of texts."""
OFF = "memory.off"
BASE = "memory.base"
"""The facts that stand in the system message, a list of texts; None before the first turn."""
CARRIED = "memory.carried"
"""Which facts stand beside which message of the user: texts by message id."""
WARNED = "memory.warned"
"""How many facts there were when the user was told that they are too many."""
KNOWN = "The user asked you to remember:"
ADDED = "The user asked you to remember from now on:"
LATE_TO_GO = 50
"""The priority of the blocks: passages and examples make room first."""


def notebook(session: Session) -> Notebook:
    """The file of what holds for all conversations."""
    return Notebook(session.host.paths.config / "memory.md")


def here(session: Session) -> list[str]:
    """What holds for this conversation alone."""
    found: list[str] = session.values.get(HERE, [])
    return found


async def wanted(session: Session) -> list[str]:
    """What the model should know now, each once, within the limit; the user is told when something is beyond it."""
    if session.values.get(OFF):
        return []
    everywhere = await asyncio.to_thread(notebook(session).texts)
    texts = list(dict.fromkeys([*everywhere, *here(session)]))
    fitting = within(texts, session.host.config(MemorySettings).limit)
    if len(fitting) < len(texts) != session.values.get(WARNED):
        session.values[WARNED] = len(texts)
        session.ui.notify(
            f"Only the first {len(fitting)} of {len(texts)} memories are read by the model: the others are beyond "
            "memory.limit; /memory forget N makes room.",
            "warning",
        )
    return fitting


def within(texts: Sequence[str], limit: int) -> list[str]:
    """The first of `texts` that are at most `limit` tokens together (about)."""
    total, fitting = 0, []
    for text in texts:
        total += about_tokens(text)
        if total > limit:
            break
        fitting.append(text)
    return fitting


async def memory_blocks(turn: Turn) -> list[Block]:
    """The block of the system message and, where something is new, the one beside the newest message."""
    session = turn.session
    texts = await wanted(session)
    _show_status(session, len(texts))
    base = await _settle(turn, texts)
    carried = session.values[CARRIED]
    read = {text for each in _read_messages(turn) for text in carried.get(each.id, ())}
    late = [text for text in texts if text not in base and text not in read]
    blocks = []
    if base:
        stability = "session" if set(base) & set(here(session)) else "static"
        known = listed(KNOWN, base)
        blocks.append(Block(known, "Memory", stability=stability, priority=LATE_TO_GO))  # type: ignore[arg-type]
    if late:
        carried[turn.message.id] = late
        blocks.append(Block(listed(ADDED, late), "Remembered", "user", "turn", LATE_TO_GO))
    return blocks


def listed(heading: str, texts: Iterable[str]) -> str:
    """Facts as the model reads them."""
    return "\n".join([heading, *(f"- {text}" for text in texts)])


async def _settle(turn: Turn, texts: list[str]) -> list[str]:
    """The facts of the system message; takes out of the conversation what is no longer wanted."""
    session, values = turn.session, turn.session.values
    carried: dict[str, list[str]] = values.setdefault(CARRIED, {})
    # A message that is asked again is laid out anew.
    carried.pop(turn.message.id, None)
    base = values.get(BASE)
    first = next(session.conversation.path()).id == turn.message.id
    if first or base is None:
        base = texts if first else []
    keep = set(texts)
    if not keep.issuperset(base):
        # The system message changes, so everything is read again anyway: all that is known moves into it.
        base, keep = texts, set()
    values[BASE] = list(base)
    if any(_strip(session, message_id, keep) for message_id in list(carried)):
        await session.save()
    return list(base)


def _strip(session: Session, message_id: str, keep: set[str]) -> bool:
    """Leave only `keep` of what stands beside that message; whether the message changed."""
    carried: dict[str, list[str]] = session.values[CARRIED]
    before = carried[message_id]
    after = [text for text in before if text in keep]
    if after == before:
        return False
    carried[message_id] = after
    if not after:
        del carried[message_id]
    node: Any = session.conversation.nodes.get(message_id)
    if node is None:
        return False
    context = _without(node.message.context, listed(ADDED, before), listed(ADDED, after) if after else "")
    session.conversation.update(replace(node.message, context=context))
    return True


def _without(context: str, old: str, new: str) -> str:
    if new:
        return context.replace(old, new, 1)
    between = next((form for form in (f"{old}\n\n", f"\n\n{old}") if form in context), old)
    return context.replace(between, "", 1)


def _read_messages(turn: Turn) -> list[Message]:
    """The earlier messages that the model still reads, of those that carry what they were noted to carry."""
    session = turn.session
    path = list(session.conversation.path())
    first_kept = session.values.get("first_kept")
    start = next((place for place, each in enumerate(path) if each.id == first_kept), 0)
    carried = session.values[CARRIED]
    # A turn that failed before it was laid out, or had no room for the block, carries nothing.
    return [
        each
        for each in path[start:]
        if each.id != turn.message.id and each.id in carried and listed(ADDED, carried[each.id]) in each.context
    ]


def _show_status(session: Session, count: int) -> None:
    session.status.pop("memory", None)
    if count:
        session.status["memory"] = str(count)
