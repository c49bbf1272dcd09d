"""Which tools the model is offered in a conversation: what is on, for this role, and what fits into the context."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from chatapp import (
    Action,
    Block,
    ChatappError,
    Request,
    Session,
    Tool,
    Turn,
    UsageError,
    must_answer,
    similar,
    tool_of,
    tools_for,
    write_private,
)
from chatapp_tools.options import ToolsSettings
from chatapp_tools.wording import INSTRUCTIONS

KEY = "tools"
"""In the conversation's values: "on", the names that are "off", and those alone that are offered ("only")."""
OFFERED = "tools.offered"
"""The names that were offered last; the same ones again cost no reading."""
SHARE = 3
"""Tools take at most one part in this many of the context: all that come along fit into a small one (4,096)."""


def is_on(session: Session) -> bool:
    """Whether the model is offered tools here."""
    kept = session.values.get(KEY, {})
    return bool(kept.get("on", session.host.config(ToolsSettings).on))


def choose(session: Session, **changes: Any) -> None:
    """Change what is named, keep the rest, and show it in the status line."""
    session.values[KEY] = {**session.values.get(KEY, {}), **changes}
    if is_on(session):
        session.status[KEY] = "on"
    else:
        session.status.pop(KEY, None)


def off(session: Session) -> set[str]:
    """The tools that are switched off here: for the conversation, and for the role that answers."""
    return {*session.values.get(KEY, {}).get("off", ()), *_of_roles(session).get(role(session), ())}


def role(session: Session) -> str:
    """The role that answers, empty for none."""
    current = session.values.get("roles.current")
    return str(current.get("name", "")) if isinstance(current, Mapping) else ""


def offered(session: Session) -> dict[str, Action]:
    """The tools that may be offered here, by name."""
    only = session.values.get(KEY, {}).get("only", ())
    without = off(session)
    known = tools_for(session)
    return {name: each for name, each in known.items() if name not in without and (not only or name in only)}


def named(session: Session, names: Iterable[str]) -> list[str]:
    """The tools of these names, or of plugins so called; UsageError for what is neither."""
    known = tools_for(session)
    found: list[str] = []
    for name in (each for word in names for each in word.split(",") if each):
        asked = name.replace(" ", "_").replace("-", "_")
        group = [each for each, action in known.items() if action.owner == name]
        if asked in known:
            found.append(asked)
        elif group:
            found += group
        else:
            near = similar(asked, known)
            hint = f" Did you mean {near}?" if near else " `/tools` lists them."
            raise UsageError(f"There is no tool {name!r}.{hint}")
    return list(dict.fromkeys(found))


def switch(session: Session, names: Sequence[str], on: bool, for_role: bool) -> None:
    """Switch tools on or off, in this conversation or for the role that answers, in all conversations."""
    if for_role:
        name = role(session)
        if not name:
            raise UsageError("No role answers here: choose one with /role, or leave out --role.")
        kept = _of_roles(session)
        before = set(kept.get(name, ()))
        kept[name] = sorted(before - set(names) if on else before | set(names))
        write_private(_file(session), json.dumps(kept, indent=1))
        return
    before = set(session.values.get(KEY, {}).get("off", ()))
    choose(session, off=sorted(before - set(names) if on else before | set(names)))


def _file(session: Session) -> Any:
    return session.host.paths.data / "tools" / "roles.json"


def _of_roles(session: Session) -> dict[str, list[str]]:
    try:
        found = json.loads(_file(session).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        # Missing or damaged: nothing is off for any role; what asks first still asks.
        return {}
    return found if isinstance(found, dict) else {}


def instructions(turn: Turn) -> list[Block]:
    """What the model is told of using tools, where it may be offered some."""
    if not turn.notes.get(KEY):
        return []
    return [Block(INSTRUCTIONS, title="Using tools", stability="static", priority=None)]


def _offers(session: Session) -> bool:
    engine = session.host.engines.current()
    return engine is not None and "tools" in engine.info.features and bool(offered(session))


async def choose_for(turn: Turn) -> None:
    """Choose the tools of this turn, and keep their room in the prompt free."""
    session, engine = turn.session, turn.session.host.engines.current()
    if engine is None or not _offers(session):
        return
    known = {name: tool_of(action) for name, action in offered(session).items()}
    costs = dict(zip(known, await engine.count_tokens([_text(each) for each in known.values()]), strict=True))
    names = await _fitting(turn, engine.info.context_length // SHARE, known, costs)
    session.values[OFFERED] = names
    turn.notes[KEY] = [known[name] for name in names]
    turn.budget -= sum(costs[name] for name in names)


def prepared(request: Request, turn: Turn) -> Request:
    """The request with the tools that were chosen."""
    tools = turn.notes.get(KEY)
    if not tools:
        return request
    request = replace(request, tools=(*request.tools, *tools))
    if not must_answer(turn):
        return request
    # The tools stay in the prompt, which would have to be read again without them.
    return replace(request, template={**request.template, "tool_choice": "none"})


async def _fitting(turn: Turn, room: int, known: Mapping[str, Tool], costs: Mapping[str, int]) -> list[str]:
    """The tools that fit into so many tokens; where not all do, those most like the message.

    As long as what was offered last still fits it is offered again: the tools stand at the beginning of the prompt.
    """
    if sum(costs.values()) <= room:
        return sorted(known)
    before = [name for name in turn.session.values.get(OFFERED, ()) if name in known]
    best = await _by_likeness(turn, known)
    if before and best[0] in before and sum(costs[name] for name in before) <= room:
        return before
    taken: list[str] = []
    for name in best:
        if costs[name] <= room:
            taken.append(name)
            room -= costs[name]
    return sorted(taken)


def _text(tool: Tool) -> str:
    return json.dumps([tool.name, tool.description, dict(tool.parameters)], ensure_ascii=False)


async def _by_likeness(turn: Turn, known: Mapping[str, Tool]) -> list[str]:
    """All tools, the most like the message first; in alphabetical order where nothing can compare them."""
    session = turn.session
    try:
        async with aclosing(session.host.engines.ready(session, "embedding")) as news:
            async for progress in news:
                session.ui.progress(progress)
        embedder = session.host.engines.current("embedding")
        if embedder is None:
            return sorted(known)
        texts = [f"{name.replace('_', ' ')}: {tool.description}" for name, tool in known.items()]
        question, *rows = await embedder.embed([turn.message.text, *texts])
    except ChatappError as error:
        session.ui.notify(f"Not all tools fit, and they cannot be compared: {error}", "warning")
        return sorted(known)
    likeness = {
        name: sum(a * b for a, b in zip(question, row, strict=True)) for name, row in zip(known, rows, strict=True)
    }
    return sorted(known, key=lambda name: -likeness[name])
