"""What the role adds to a turn: blocks, sampling, and what a switch cost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from chatapp import Block, Message, Request, Sampling, Session, Turn, assistant, user
from chatapp_roles import switch
from chatapp_roles.files import find
from chatapp_roles.options import RolesSettings

NOTE = "roles"
COST = "switch"
"""The place in the status line for what a switch cost; one of its own, as each has room for a few words only."""
EXAMPLES_PRIORITY = 50
"""Examples are dropped late when room is short; instructions never."""


def blocks(turn: Turn) -> Iterable[Block]:
    """The base at the prompt's beginning, the switch beside the newest message where it is needed."""
    session = turn.session
    _take_default(session)
    chosen = switch.current(session)
    session.status.pop(COST, None)
    yield from _base(session)
    told = switch.missing(session, switch.before(session, turn.message.id))
    if told:
        _note(turn, told)
        title = chosen["title"] or "none"
        yield Block(told, title=f"Role: {title}", slot="user", stability="session", priority=None)


def _take_default(session: Session) -> None:
    """In a conversation that begins, the role of the settings where none was chosen."""
    name = session.host.config(RolesSettings).default
    if name and not switch.current(session) and len(session.conversation) == 1:
        switch.choose(session, find(session.host, name), {}, fresh=True)


def _base(session: Session) -> Iterator[Block]:
    base = session.values.get("roles.base")
    if base is None:
        return
    yield Block(base["prompt"], title=f"Role: {base['title']}", stability="static", priority=None)
    if base["examples"]:
        content = tuple(_example_messages(base["examples"]))
        yield Block(content, f"Examples: {base['title']}", "examples", "static", EXAMPLES_PRIORITY)


def _example_messages(examples: Iterable[tuple[str, str]]) -> Iterator[Message]:
    for asked, answered in examples:
        yield user(asked)
        yield assistant(answered)


def _note(turn: Turn, told: str) -> None:
    switch.note_said(turn.session, told)
    # A message that is asked once more was told already, and its cost is known.
    if told not in turn.message.context:
        turn.notes[NOTE] = True


async def prepared(request: Request, turn: Turn) -> Request:
    """The request with the role's sampling and, if it lacks it, the role's switch."""
    request = replace(request, sampling=_sampling(request.sampling, turn.session))
    told = switch.missing(turn.session, request.messages)
    if not told:
        return request
    # The turn that held the switch was left out while this prompt was laid out.
    _note(turn, told)
    newest = next(each for each in request.messages if each.id == turn.message.id)
    newest = replace(newest, context="\n\n".join(filter(None, [newest.context, told])))
    turn.message = newest
    turn.session.conversation.update(newest)
    await turn.session.save()
    return replace(request, messages=tuple(newest if each.id == newest.id else each for each in request.messages))


def _sampling(asked: Sampling, session: Session) -> Sampling:
    """The user's own values first, then another plugin's, then the role's, then the settings'."""
    explicit = session.values.get("sampling", {})
    usual = session.sampling
    wanted = switch.current(session).get("sampling", {})
    free: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in wanted.items()
        if name not in explicit and getattr(asked, name) == getattr(usual, name)
    }
    return replace(asked, **free)


def tell_cost(turn: Turn) -> None:
    """Show and keep how many tokens were read for the turn of a switch, its message among them."""
    if not turn.notes.get(NOTE) or not turn.answers:
        return
    usage = turn.answers[0].meta.get("usage")
    if usage:
        read = usage["prompt_tokens"] - usage["reused_tokens"]
        turn.session.values["roles.read"] = {"title": switch.current(turn.session)["title"], "tokens": read}
        turn.session.status[COST] = f"{read:,} tokens"
