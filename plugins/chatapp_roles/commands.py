"""`/role` and what is below it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from chatapp import Data, Rest, Session, UsageError, action, table, write_private
from chatapp_roles import switch
from chatapp_roles.editor import edit as open_in_editor
from chatapp_roles.files import BUNDLED, NAME, RESERVED, Role, find, folder, paths, read
from chatapp_roles.options import RolesSettings
from chatapp_roles.template import new_file


def _names(session: Session, prefix: str) -> Iterable[str]:
    return paths(session.host)


def _names_and_off(session: Session, prefix: str) -> Iterable[str]:
    return [*paths(session.host), "off"]


@action("role", ask=True, shell=False)
async def role(
    session: Session,
    name: Annotated[str, "A role, or off", _names_and_off] = "",
    *values: Annotated[str, "Its variables, as key=value"],
) -> str | Data:
    """Choose who answers from now on; without a name, list the roles.

    The conversation stays as it is, so one role can go on with what another found. `/role off` takes none.
    """
    # As an option of the shell, name and values come as one word: --role "translator language=Greek".
    name, *more = name.split(maxsplit=1) or [""]
    given = _pairs([*more, *values])
    if not name or name == "list":
        return await list_.function(session)  # type: ignore[no-any-return]
    fresh = session.conversation.head is None
    if name == "off":
        left = switch.leave(session, fresh=fresh)
        await session.save()
        return f"No longer {left}: no role from now on." if left else "No role is on."
    found = await asyncio.to_thread(find, session.host, name)
    switch.choose(session, found, given, fresh=fresh)
    await session.save()
    return f"{found.title} answers from now on. {found.file.description}"


def _pairs(words: Iterable[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise UsageError(f"{word!r} is no variable; write it as key=value, with quotation marks around spaces.")
        pairs[key.strip()] = value
    return pairs


@action("role list")
async def list_(session: Session) -> Data:
    """List the roles: which one answers now, what each does, and what the last switch cost."""
    files = await asyncio.to_thread(paths, session.host)
    now = _now(session)
    rows = [("*" if name == now else "", name, _about(path), _whose(path)) for name, path in files.items()]
    listed = table("roles", ("now", "role", "what it does", "whose"), rows)
    cost = session.values.get("roles.read")
    told = f"\n\nThe last switch, to {cost['title'] or 'no role'}, read {cost['tokens']:,} tokens." if cost else ""
    return Data(listed.name, listed.value, listed.text + told)


def _now(session: Session) -> str:
    chosen = switch.current(session)
    new = not chosen and not len(session.conversation)
    return session.host.config(RolesSettings).default if new else str(chosen.get("name", ""))


def _about(path: Path) -> str:
    try:
        return read(path).file.description
    except UsageError as error:
        return f"Cannot be used: {error}"


def _whose(path: Path) -> str:
    return "bundled" if path.parent == BUNDLED else "yours"


@action("role show")
async def show(session: Session, name: Annotated[str, "A role", _names]) -> Data:
    """Show a role: its file, variables, sampling and instructions."""
    found = await asyncio.to_thread(find, session.host, name)
    return Data("role", found.file.model_dump() | {"name": name, "path": str(found.path)}, _described(found))


def _described(found: Role) -> str:
    file = found.file
    sampling = file.sampling.model_dump(exclude_defaults=True)
    facts = {
        "file": str(found.path),
        "variables": ", ".join(f"{key}={value}" for key, value in found.variables.items()),
        "sampling": ", ".join(f"{key}={value}" for key, value in sampling.items()),
        "examples": len(file.examples) or "",
        **{each: ", ".join(getattr(file, each)) for each in switch.LISTS},
    }
    lines = [f"{found.title}: {file.description}", *(f"{key}: {value}" for key, value in facts.items() if value)]
    return "\n".join([*lines, "", file.prompt])


@action("role new")
async def new(
    session: Session,
    name: Annotated[str, "The new role's name"],
    description: Annotated[str, "What it does, in a sentence", Rest()] = "",
) -> str:
    """Write a role file of your own, with every key explained, and say where it is."""
    if not NAME.match(name) or name in RESERVED:
        raise UsageError(f"{name!r} cannot be a role's name: use letters, digits and dashes, and not {_reserved()}.")
    path = folder(session.host) / f"{name}.toml"
    if path.exists():
        raise UsageError(f"There is a role {name!r} of yours already: {path}; /role edit {name} opens it.")
    await asyncio.to_thread(write_private, path, new_file(name, description))
    return f"Wrote {path}: put the instructions there (/role edit {name}), then /role {name}."


def _reserved() -> str:
    return ", ".join(sorted(RESERVED))


@action("role edit")
async def edit(session: Session, name: Annotated[str, "A role", _names]) -> str:
    """Open a role's file in your editor ($VISUAL or $EDITOR); a bundled one is copied to your own folder first."""
    path = (await asyncio.to_thread(paths, session.host)).get(name)
    if path is None:
        await asyncio.to_thread(find, session.host, name)
        raise UsageError(f"There is no role {name!r}.")
    if path.parent == BUNDLED:
        copy = folder(session.host) / path.name
        await asyncio.to_thread(write_private, copy, path.read_text(encoding="utf-8"))
        path = copy
    if not open_in_editor(path):
        return f"The role is in {path}: open it in an editor, then /role {name}."
    changed = await asyncio.to_thread(read, path)
    return f"{changed.title} is saved in {path}; /role {name} puts it in force."
