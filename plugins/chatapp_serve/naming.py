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
NAME = re.compile(r"\w[\w.=-]*")
"""Letters, digits, underscores, dots, dashes, and `=` for a scale: never a path, nor an option."""
USUAL = "chatapp"
"""The name of the model that the chat would use, whichever that is; as good as none."""
ALONE = {"experts": "experts on", "think": "think on", "rag": "rag on"}
"""What is run for a switch without a name; the others need one."""
WAYS = ("on", "off", "list")
"""What completion offers beside names."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A model, and the slash lines that switch on what is wanted before it answers."""

    model: str
    lines: tuple[str, ...] = ()


def wanted(session: Session, name: str) -> Wanted:
    """What `model+role`, `model+rag:COLLECTION` or `model+lora:NAME=0.7` means; Refused when it means nothing here."""
    known = models(session)
    if name in known:
        return Wanted(name)
    model, *more = name.split("+")
    if model in ("", USUAL):
        model = session.model
    elif model not in known:
        raise Refused(404, f"There is no model {model!r} here: /v1/models lists what there is.", "model_not_found")
    return Wanted(model, tuple(_line(session, each) for each in more))


def _line(session: Session, text: str) -> str:
    """The slash line of one switch. It comes from another program: it can name things, and do nothing but switch."""
    key, colon, value = text.partition(":")
    if not colon and key not in _switches(session):
        key, value = "role", text
    if key not in _switches(session) or key not in session.host.actions:
        raise _unknown(f"Nothing here is switched on by {text!r}.")
    words = value.split(",") if value else []
    if not all(NAME.fullmatch(word) for word in words):
        raise _unknown(f"{value!r} is no name, so +{text} switches nothing on.")
    if not words and key in ALONE:
        return f"/{ALONE[key]}"
    line = " ".join([f"/{key}", *words])
    # "/rag rm NAME" is a command of its own, which a collection's name must not become.
    if not words or session.resolve(line)[0].name != key:
        raise _unknown(f"+{text} names nothing: write +{key}:NAME.")
    return line


def _unknown(text: str) -> Refused:
    return Refused(404, text, "model_not_found")


def _switches(session: Session) -> list[str]:
    return session.host.config(ServeSettings).switches


async def switch_on(session: Session, wish: Wanted) -> None:
    """Set the model and the switches in this session; Refused with the reason of the one that cannot be."""
    session.values["model"] = wish.model
    for line in wish.lines:
        try:
            async with aclosing(session.run(line)) as events:
                async for _ in events:
                    pass  # what a switch says of itself is no part of the answer
        except ChatappError as error:
            raise _unknown(str(error)) from error
    if any(line.startswith("/lora ") for line in wish.lines):
        await _check_adapters(session, wish.model)


async def _check_adapters(session: Session, model: str) -> None:
    """Refused when an adapter does not fit the model. A chat goes on without it and says so; here nobody would see."""
    config = await session.host.hooks.fold("configure_engine", session.engine_config(), session=session)
    laid = {each.name for each in config.adapters}
    for name, scale in session.values.get("lora", {}).items():
        if scale and name not in laid:
            raise _unknown(f"The adapter {name!r} was not made for {model}: leave it out, or ask its own model.")


def models(session: Session) -> list[str]:
    """The models that can answer: those on this machine, and those of servers that are known."""
    here = [each.name for each in session.host.models.list() if not each.problem]
    offered = (
        name for spec in session.host.engine_specs.values() if spec.kind == "chat" for name in spec.models(session.host)
    )
    return list(dict.fromkeys([session.model, *here, *offered]))


def listed(session: Session) -> list[str]:
    """All names that a client may choose from: the models, then the usual one with each thing that has a name."""
    return [USUAL, *models(session), *_with(session, USUAL)][:MOST]


def _with(session: Session, model: str) -> Iterator[str]:
    for key in _switches(session):
        action = session.host.actions.get(key)
        if action is not None:
            yield from [f"{model}+{key}"] if key in ALONE else ()
            names = _names(session, action)
            yield from (f"{model}+{name}" if key == "role" else f"{model}+{key}:{name}" for name in names)


def _names(session: Session, action: Action) -> Iterable[str]:
    """What completion offers for an action, without what is no name."""
    complete = action.params[0].complete if action.params else None
    found = complete(session, "") if complete is not None else ()
    commands = session.host.actions
    return (n for n in found if NAME.fullmatch(n) and n not in WAYS and f"{action.name} {n}" not in commands)
