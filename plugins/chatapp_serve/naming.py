"""The names of models: a local model, or one with what the plugins add to it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import aclosing
from dataclasses import dataclass

from chatapp import Action, ChatappError, Session
from chatapp_serve.options import ServeSettings
from chatapp_serve.refusing import Refused

MOST = 200
"""Names in the list of models; a chat's menu is not helped by more."""
NAMES = re.compile(r"(?:[\w][\w.=,-]*)?")
"""Letters, digits, underscores, dots, dashes; `=` and `,` in a mix of adapters."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model, and the slash lines that switch on what is wanted before it answers."""

    model: str
    lines: tuple[str, ...] = ()


def wanted(session: Session, name: str) -> Wanted:
    """What `model+role`, `model+rag:COLLECTION` or `model+lora:NAME=0.7` means; Refused when it means nothing here."""
    model, *more = name.split("+")
    known = models(session)
    if model and model not in known:
        raise Refused(404, f"There is no model {model!r} here: /v1/models lists what there is.", "model_not_found")
    return Wanted(model, tuple(_line(session, each, name) for each in more))


def _line(session: Session, text: str, name: str) -> str:
    key, colon, value = text.partition(":")
    if not colon and key not in _switches(session):
        key, value = "role", text
    if not text or key not in _switches(session) or key not in session.host.actions:
        raise Refused(404, f"Nothing here is switched on by {text!r} in the model {name!r}.", "model_not_found")
    if not NAMES.fullmatch(value):
        # Names only: what an action would take as a file or an option must not come from another program.
        raise Refused(404, f"{value!r} in the model {name!r} is no name.", "model_not_found")
    return f"/{key} {value.replace(',', ' ')}".rstrip()


def _switches(session: Session) -> list[str]:
    return session.host.config(ServeSettings).switches


async def switch_on(session: Session, wish: Wanted) -> None:
    """Set the switches in this session; Refused with the reason of the one that cannot be."""
    session.values["model"] = wish.model or session.model
    for line in wish.lines:
        try:
            async with aclosing(session.run(line)) as events:
                async for _ in events:
                    pass  # what a switch says of itself is no part of the answer
        except ChatappError as error:
            raise Refused(404, str(error), "model_not_found") from error


def models(session: Session) -> list[str]:
    """The models that can answer: those on this machine, and those of servers that are known."""
    here = [each.name for each in session.host.models.list() if not each.problem]
    offered = (
        name for spec in session.host.engine_specs.values() if spec.kind == "chat" for name in spec.models(session.host)
    )
    return list(dict.fromkeys([session.model, *here, *offered]))


def listed(session: Session) -> list[str]:
    """All names that a client may choose from: the models, then the usual one with each thing that has a name."""
    return [*models(session), *_with(session, session.model)][:MOST]


def _with(session: Session, model: str) -> Iterator[str]:
    for key in _switches(session):
        action = session.host.actions.get(key)
        if action is not None:
            names = list(_names(session, action))
            yield from (f"{model}+{name}" if key == "role" else f"{model}+{key}:{name}" for name in names)


def _names(session: Session, action: Action) -> Iterable[str]:
    complete = action.params[0].complete if action.params else None
    found = complete(session, "") if complete is not None else ()
    return (name for name in found if NAMES.fullmatch(name))
