"""Blocks and the layout of a prompt: what the model reads, in an order that lets the engine reuse what it read before.

Static blocks, then blocks that hold for the session, then the examples, then the conversation, and what changes every
turn beside the user's newest message. When that is more than the context holds, the oldest turns are left out, many at
once: leaving out one turn per turn would make the engine read everything again each time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from chatapp.errors import UsageError
from chatapp.messages import Message, Text, chat_text

Stability: TypeAlias = Literal["static", "session", "turn"]
Slot: TypeAlias = Literal["system", "examples", "user"]
Counter: TypeAlias = Callable[[Sequence[str]], Awaitable[list[int]]]

RANK: dict[Stability, int] = {"static": 0, "session": 1, "turn": 2}
KEPT_SHARE = 0.6
"""How full the prompt is, of its budget, after old turns were left out: room for some turns before it happens again."""


@dataclass(frozen=True, slots=True)
class Block:
    """Something for the model to read, added by a plugin.

    `content` is text, or example messages for the slot ``examples``. `slot` ``user`` is beside the user's message;
    text that changes every turn is laid there whatever it says. Examples stand after the system message, as turns of
    their own, and those that change every turn right before the user's message. When room is short, blocks of low
    `priority` go first, and those with None never. `plugin` is stamped by the host.
    """

    content: str | tuple[Message, ...]
    title: str = ""
    slot: Slot = "system"
    stability: Stability = "session"
    priority: int | None = 0
    plugin: str = ""

    @property
    def text(self) -> str:
        """What is counted and shown: the text itself, or the examples one after another."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(chat_text(message) for message in self.content)


@dataclass(frozen=True, slots=True)
class Piece:
    """One row of "what was sent": a block or a message, where it went and what it cost.

    `message` is the index in the request, `tokens` its length, `reused` how many of them the engine had already
    evaluated (None until it has answered).
    """

    title: str
    plugin: str
    text: str
    message: int
    tokens: int = 0
    reused: int | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """A prompt laid out. `first_kept` is the oldest message not left out, None while nothing is."""

    messages: tuple[Message, ...]
    pieces: tuple[Piece, ...]
    tokens: int
    first_kept: str | None = None
    left_out: int = 0
    dropped: tuple[Block, ...] = ()


@dataclass(slots=True)
class Draft:
    """What goes into a layout: blocks, the shown path, the id of the user's newest message, which turns must stay."""

    blocks: list[Block]
    path: list[Message]
    newest: str
    pinned: frozenset[str] = frozenset()
    first_kept: str | None = None
    costs: dict[str, int] = field(default_factory=dict)

    def stable(self) -> list[Block]:
        """The blocks of the system message, most stable first; the order within a stability is the plugins'."""
        chosen = [block for block in self.blocks if block.stability != "turn" and block.slot == "system"]
        return sorted(chosen, key=lambda block: RANK[block.stability])

    def examples(self, *, changing: bool = False) -> list[Block]:
        """The blocks of example messages, most stable first: those that stay, or those that change every turn."""
        chosen = [block for block in self.blocks if block.slot == "examples" and not isinstance(block.content, str)]
        return sorted(
            (block for block in chosen if (block.stability == "turn") is changing), key=lambda b: RANK[b.stability]
        )

    def beside(self) -> list[Block]:
        """The blocks that stand before the user's newest message."""
        placed = {id(block) for block in (*self.stable(), *self.examples(), *self.examples(changing=True))}
        return [block for block in self.blocks if id(block) not in placed]

    def turns(self) -> list[list[Message]]:
        """The path cut into turns: a user's message and all that answers it."""
        turns: list[list[Message]] = []
        for message in self.path:
            if message.role == "user" or not turns:
                turns.append([])
            turns[-1].append(message)
        return turns

    def kept(self) -> list[Message]:
        """The path without the turns that are left out; pinned turns stay whole, so that roles alternate."""
        turns = self.turns()
        start = next((place for place, turn in enumerate(turns) if turn[0].id == self.first_kept), 0)
        stay = [turn for place, turn in enumerate(turns) if place >= start or self._pinned(turn)]
        return [message for turn in stay for message in turn]

    def _pinned(self, turn: list[Message]) -> bool:
        return any(message.id in self.pinned for message in turn)


async def lay_out(draft: Draft, budget: int, count: Counter) -> Layout:
    """Lay blocks, conversation and newest message out within `budget` tokens.

    Over budget, first the oldest turns are left out down to KEPT_SHARE, then blocks by priority. Raises UsageError when
    the newest message alone is too long.
    """
    await _price(draft, count)
    if _total(draft) > budget:
        _leave_out_turns(draft, int(budget * KEPT_SHARE), budget)
    dropped = _drop_blocks(draft, budget)
    total = _total(draft)
    if total > budget:
        newest = next(_cost(draft, message) for message in draft.path if message.id == draft.newest)
        raise UsageError(
            f"This message is about {newest:,} tokens and the model has room for {max(budget - total + newest, 0):,}: "
            "shorten it, attach less, or choose a model or setting with a longer context."
        )
    messages, pieces = _assemble(draft)
    left_out = len(draft.path) - len(draft.kept())
    return Layout(tuple(messages), tuple(pieces), total, draft.first_kept, left_out, tuple(dropped))


def _cost(draft: Draft, message: Message) -> int:
    # Eight tokens stand for the template's own around a message; the engine's count decides in the end.
    return draft.costs[chat_text(message)] + 8


def _total(draft: Draft) -> int:
    return sum(draft.costs[block.text] for block in draft.blocks) + sum(_cost(draft, each) for each in draft.kept())


async def _price(draft: Draft, count: Counter) -> None:
    # A message that is asked again still has the context of the last time, which is laid anew.
    draft.path = [replace(each, context="") if each.id == draft.newest else each for each in draft.path]
    texts = [block.text for block in draft.blocks] + [chat_text(message) for message in draft.path]
    unknown = list(dict.fromkeys(text for text in texts if text not in draft.costs))
    if unknown:
        draft.costs.update(zip(unknown, await count(unknown), strict=True))


def _leave_out_turns(draft: Draft, wanted: int, budget: int) -> None:
    turns = draft.turns()
    start = next((place for place, turn in enumerate(turns) if turn[0].id == draft.first_kept), 0)
    for turn in turns[start + 1 :]:
        draft.first_kept = turn[0].id
        if _total(draft) <= wanted:
            return


def _drop_blocks(draft: Draft, budget: int) -> list[Block]:
    dropped = []
    optional = sorted((block for block in draft.blocks if block.priority is not None), key=lambda b: b.priority or 0)
    for block in optional:
        if _total(draft) <= budget:
            break
        draft.blocks.remove(block)
        dropped.append(block)
    return dropped


def _assemble(draft: Draft) -> tuple[list[Message], list[Piece]]:
    messages: list[Message] = []
    pieces: list[Piece] = []
    stable = draft.stable()
    if stable:
        pieces += [_piece(draft, block, 0) for block in stable]
        text = "\n\n".join(block.text for block in stable)
        messages.append(Message("system", (Text(text),), id="system", created=0.0))
    _lay_examples(draft, draft.examples(), messages, pieces)
    for message in draft.kept():
        if message.id == draft.newest:
            _lay_examples(draft, draft.examples(changing=True), messages, pieces)
            beside = draft.beside()
            pieces += [_piece(draft, block, len(messages)) for block in beside]
            message = replace(message, context="\n\n".join(block.text for block in beside))
        pieces.append(_message_piece(draft, message, len(messages)))
        messages.append(message)
    return messages, pieces


def _lay_examples(draft: Draft, blocks: Iterable[Block], messages: list[Message], pieces: list[Piece]) -> None:
    for block in blocks:
        pieces.append(_piece(draft, block, len(messages)))
        messages += block.content if not isinstance(block.content, str) else ()


def _piece(draft: Draft, block: Block, message: int) -> Piece:
    return Piece(block.title or block.plugin, block.plugin, block.text, message, draft.costs[block.text])


def _message_piece(draft: Draft, message: Message, index: int) -> Piece:
    # The newest message's context is shown as the blocks it is made of.
    text = chat_text(replace(message, context="") if message.id == draft.newest else message)
    return Piece(message.role.capitalize(), "chatapp", text, index, draft.costs[text])


def with_reuse(pieces: Iterable[Piece], spans: Sequence[tuple[int, int]], reused: int) -> tuple[Piece, ...]:
    """The pieces with `reused` filled in: the engine evaluated the prompt's first `reused` tokens before.

    `spans` are the token ranges of the request's messages; several pieces of one message share it in order.
    """
    filled: list[Piece] = []
    place: dict[int, int] = {}
    for piece in pieces:
        if piece.message >= len(spans):
            filled.append(piece)
            continue
        start = place.get(piece.message, spans[piece.message][0])
        place[piece.message] = start + piece.tokens
        filled.append(replace(piece, reused=min(max(reused - start, 0), piece.tokens)))
    return tuple(filled)
