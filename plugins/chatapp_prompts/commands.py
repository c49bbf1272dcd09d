"""`/prompt` and what is below it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

from chatapp import (
    ChatappError,
    Data,
    Event,
    Finished,
    Part,
    Progress,
    Rest,
    Session,
    Source,
    Text,
    UsageError,
    action,
    attached,
    table,
    write_private,
)
from chatapp_prompts.files import BUNDLED, INPUT, NAME, RESERVED, Template, find, folder, paths, read

LONGEST = 1_000_000
"""Characters of standard input that are read."""
NEW = """\
+++
description = {description}

# Defaults; a variable without one must be given: /prompt {name} words=50 TEXT
[variables]
words = 100
+++
{body}
"""
BODY = """Write here what is sent as your message. {words} and {input} are filled in; {input} is the text after the
values. A brace that is meant as such is written twice: {{ and }}."""


def _names(session: Session, prefix: str) -> Iterable[str]:
    return paths(session.host)


@action("prompt")
async def prompt(
    session: Session,
    name: Annotated[str, "A template", _names] = "",
    text: Annotated[str, "key=value …, then the text it is about; @FILE, or - for standard input", Rest()] = "",
    *,
    show: Annotated[bool, "Show the message, and do not send it"] = False,
) -> AsyncGenerator[Event, None]:
    """Fill a template in and send it as your message; --show only shows it. Without a name, list the templates."""
    if name in ("", "list"):
        yield await asyncio.to_thread(_listed, session)
        return
    if name == "new":
        # The shell has one command, `chatapp prompt`, for all of this.
        new_name, *rest = text.split(maxsplit=1) or [""]
        yield Text(await new.function(session, new_name, *rest))
        return
    template = await asyncio.to_thread(find, session.host, name)
    given = template.take(text)
    parts: list[Part] = []
    async with aclosing(_fill(session, given, parts)) as news:
        async for progress in news:
            yield progress
    rendered = template.render(given)
    if show:
        yield Text(rendered)
        return
    async with aclosing(_send(session, rendered, parts)) as events:
        async for event in events:
            yield event


async def _fill(session: Session, given: dict[str, str], parts: list[Part]) -> AsyncGenerator[Progress, None]:
    """Put what the input stands for in its place: standard input for -; for @FILE a file, added to `parts`."""
    text = given.get(INPUT, "")
    if text == "-":
        given[INPUT] = await asyncio.to_thread(_piped)
    elif text.startswith("@"):
        written = text[1:].strip('"')
        path = Path(written).expanduser()
        files = [(path, written)] if await asyncio.to_thread(path.is_file) else []
        async with aclosing(attached(session, files)) as news:
            async for each in news:
                if isinstance(each, Source):
                    parts.append(each)
                    given[INPUT] = f'the document "{each.title}" above'
                else:
                    yield each


def _piped() -> str:
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("There is no standard input here: give the text itself, or @FILE.")
    try:
        text = sys.stdin.read(LONGEST + 1)
    except UnicodeDecodeError:
        raise UsageError("Standard input is not text in this terminal's encoding; convert it first.") from None
    if len(text) > LONGEST:
        raise UsageError(f"Standard input is longer than {LONGEST:,} characters; give less of it.")
    if not text.strip():
        raise UsageError("Standard input is empty; nothing was sent.")
    return text.strip()


async def _send(session: Session, text: str, parts: Iterable[Part]) -> AsyncGenerator[Event, None]:
    async with aclosing(session.send(text, *parts)) as events:
        async for event in events:
            # As an error it is told on every surface, and the shell's exit code is not 0.
            if isinstance(event, Finished) and event.reason == "failed":
                raise ChatappError(event.error)
            yield event


def _listed(session: Session) -> Data:
    rows = [(name, *_about(path), _whose(path)) for name, path in paths(session.host).items()]
    return table("prompts", ("prompt", "what it does", "variables", "whose"), rows)


def _about(path: Path) -> tuple[str, str]:
    try:
        template = read(path)
    except UsageError as error:
        return f"Cannot be used: {error}", ""
    shown = [f"{key}={template.defaults[key]}" if key in template.defaults else key for key in template.variables]
    return template.description, " ".join(shown)


def _whose(path: Path) -> str:
    return "bundled" if path.parent == BUNDLED else "yours"


@action("prompt choose", shell=False)
async def choose(session: Session) -> AsyncGenerator[Event, None]:
    """Choose a template from a list, be asked for its variables, and send it."""
    options = {f"{name}: {_about(path)[0]}": path for name, path in (await _all(session)).items()}
    chosen = await session.ui.choose("Which prompt?", list(options))
    if chosen is None:
        return
    template = await asyncio.to_thread(read, options[chosen])
    given = await _asked(session, template)
    if given is None:
        return
    parts: list[Part] = []
    async with aclosing(_fill(session, given, parts)) as news:
        async for progress in news:
            yield progress
    async with aclosing(_send(session, template.render(given), parts)) as events:
        async for event in events:
            yield event


async def _all(session: Session) -> dict[str, Path]:
    return await asyncio.to_thread(paths, session.host)


async def _asked(session: Session, template: Template) -> dict[str, str] | None:
    """A value for each variable, the default where it is taken; None when given up."""
    given: dict[str, str] = {}
    for name in template.variables:
        value = await session.ui.prompt(f"{template.name}: {name}", template.defaults.get(name, ""))
        if value is None:
            return None
        given[name] = value
    return given


@action("prompt new", shell=False)
async def new(
    session: Session,
    name: Annotated[str, "The new template's name"],
    text: Annotated[str, "What it says, with {variables}", Rest()] = "",
) -> str:
    """Write a template of your own, and say where it is."""
    if not NAME.match(name) or name in RESERVED:
        reserved = ", ".join(sorted(RESERVED))
        raise UsageError(f"{name!r} cannot be a prompt's name: use letters, digits and dashes, and not {reserved}.")
    path = folder(session.host) / f"{name}.md"
    if path.exists():
        raise UsageError(f"There is a prompt {name!r} of yours already: {path}.")
    made = f"{text}\n" if text else NEW.format(name=name, description='"What it is for."', body=BODY)
    await asyncio.to_thread(write_private, path, made)
    return f"Wrote {path}: change it there, then /prompt {name}."
