"""A form that an MCP server wants filled in, as questions to the person in front, one field after another."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Literal, TypeAlias

from chatapp import UI, one_line, visible

Answer: TypeAlias = str | int | float | bool | list[str] | None
Outcome: TypeAlias = Literal["accept", "decline", "cancel"]

LONGEST = 1000
"""Characters of what a server says in a form."""
MOST_FIELDS = 10
MOST_TRIES = 3
"""How often a field is asked for whose answer does not fit."""
_KINDS = frozenset({"string", "number", "integer", "boolean"})


async def filled(
    ui: UI, server: str, message: str, schema: Mapping[str, Any]
) -> tuple[Outcome, dict[str, Answer] | None]:
    """Ask for each field of `schema`; "decline" when the person wants none of it, "cancel" when they give up.

    The first question says who asks, and that the answers are sent there.
    """
    fields = schema.get("properties")
    fields = fields if isinstance(fields, Mapping) else {}
    usable = len(fields) <= MOST_FIELDS and all(_usable(each) for each in fields.values())
    if not usable:
        ui.notify(f"The MCP server {server!r} wanted a form filled in that cannot be shown here.", "warning")
        return "decline", None
    detail = f"{visible(message)[:LONGEST]}\n\nWhat you answer is sent to this server: give it no password."
    if not await ui.confirm(f"The MCP server {server!r} asks for something: answer it?", detail):
        return "decline", None
    wanted = schema.get("required")
    required = set(wanted) if isinstance(wanted, list) else set()
    content: dict[str, Answer] = {}
    for name, field in fields.items():
        given = await _given(ui, server, name, field, name in required)
        if given is None:
            return "cancel", None
        if given != "" or name in required:
            content[name] = given
    return "accept", content


def _usable(field: Any) -> bool:
    return isinstance(field, Mapping) and field.get("type") in _KINDS


async def _given(ui: UI, server: str, name: str, field: Mapping[str, Any], required: bool) -> Answer:
    """The answer to one field; an empty text leaves it out, None gives up."""
    title = one_line(str(field.get("title") or name), 80)
    about = one_line(str(field.get("description") or ""), 200)
    question = f"{server}: {title}{f' ({about})' if about else ''}{'' if required else ', may be empty'}"
    if field["type"] == "boolean":
        # Enter is pressed in passing, and takes the first.
        chosen = await ui.choose(question, ("no", "yes"))
        return None if chosen is None else chosen == "yes"
    choices = field.get("enum")
    if isinstance(choices, list) and all(isinstance(each, str) for each in choices):
        return await ui.choose(question, choices)
    default, problem = field.get("default", ""), ""
    for _ in range(MOST_TRIES):
        text = await ui.prompt(f"{question}{problem}", str(default))
        if text is None or (not text and not required):
            return text
        value = _value(field["type"], text)
        problem = _problem(field, value)
        if not problem:
            return value
    return None


def _value(kind: str, text: str) -> Answer:
    """The text as the number it should be, or as it is."""
    try:
        return int(text) if kind == "integer" else float(text) if kind == "number" else text
    except ValueError:
        return text


def _problem(field: Mapping[str, Any], value: Answer) -> str:
    jsonschema = import_module("jsonschema")
    bounds = {key: field[key] for key in _BOUNDS if isinstance(field.get(key), (int, float))}
    checker = jsonschema.Draft202012Validator({"type": field["type"], **bounds})
    error = jsonschema.exceptions.best_match(checker.iter_errors(value))
    return f": {one_line(str(error.message), 100)}" if error else ""


_BOUNDS = ("minLength", "maxLength", "minimum", "maximum")
"""What is checked here; regular expressions are left to the server, as hostile ones take for ever."""
