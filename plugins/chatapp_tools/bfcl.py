"""Cases of the Berkeley Function-Calling Leaderboard, and whether calls are right by its rules.

Patil et al., 2025, https://gorilla.cs.berkeley.edu/leaderboard.html; the rules are those of its `ast_checker`: types as
the schema says (a whole number may stand for a fraction), text without regard to case, spaces and punctuation, of each
argument one of the values allowed, "" among them saying that it may be left out, parallel calls in any order.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from chatapp import Message, Text, Tool, ToolCall, UsageError, read_text

Allowed: TypeAlias = Mapping[str, Mapping[str, Sequence[Any]]]
"""A function's name to the values allowed for each of its arguments."""
PUNCTUATION = re.compile(r"[ ,./\-_*^]")
KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "float": (float, int), "number": (float, int), "boolean": (bool,),
    "array": (list,), "tuple": (list,), "dict": (dict,), "object": (dict,),
}  # fmt: skip
"""What a value of a type is in Python; other types take any value."""
MISSING = ""
"""Among the allowed values: the argument may be left out."""


@dataclass(frozen=True, slots=True)
class Case:
    """A question, the functions offered, and the calls that answer it; none where no function fits."""

    key: str
    category: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...]
    truth: tuple[Allowed, ...]


def load(path: Path, category: str = "") -> list[Case]:
    """The cases of a file, of one category if named; UsageError names the line that is none."""
    lines = [(number, line) for number, line in enumerate(read_text(path).splitlines(), 1) if line.strip()]
    cases = [_case(line, f"{path}, line {number}") for number, line in lines]
    chosen = [case for case in cases if category in ("", case.category)]
    if not chosen:
        known = ", ".join(sorted({case.category for case in cases})) or "none at all"
        raise UsageError(f"{path} has no cases of the category {category!r}; it has {known}.")
    return chosen


def _case(line: str, where: str) -> Case:
    try:
        row = json.loads(line)
        functions = row["function"] if isinstance(row["function"], list) else [row["function"]]
        turns = row["question"]
        asked = turns[0] if isinstance(turns[0], list) else turns
        tools = tuple(Tool(each["name"], each.get("description", ""), each["parameters"]) for each in functions)
        messages = tuple(Message(each["role"], (Text(each["content"]),)) for each in asked)
        truth = tuple(_allowed(each) for each in row.get("ground_truth") or ())
        key = str(row["id"])
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise UsageError(f"{where}: this is no case of that benchmark ({type(error).__name__}: {error}).") from None
    if len(turns) > 1 and isinstance(turns[0], list):
        raise UsageError(f"{where}: conversations of several turns are not measured; leave them out.")
    return Case(key, str(row.get("category") or key.rpartition("_")[0]), messages, tools, truth)


def _allowed(truth: Any) -> Allowed:
    return {str(name): {key: list(values) for key, values in given.items()} for name, given in truth.items()}


def fits(call: ToolCall, tools: Sequence[Tool]) -> bool:
    """Whether a call validates: one of the tools, all that is required, nothing unknown, types and enumerations."""
    tool = next((each for each in tools if each.name == call.name), None)
    return tool is not None and _fits(dict(call.arguments), {**tool.parameters, "type": "dict"})


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    if not _is(value, schema.get("type")) or ("enum" in schema and value not in schema["enum"]):
        return False
    if isinstance(value, list) and isinstance(schema.get("items"), Mapping):
        return all(_fits(each, schema["items"]) for each in value)
    properties = schema.get("properties")
    if isinstance(value, dict) and isinstance(properties, Mapping):
        known = all(name in properties and _fits(each, properties[name]) for name, each in value.items())
        return known and all(name in value for name in schema.get("required", ()))
    return True


def _is(value: Any, kind: Any) -> bool:
    wanted = KINDS.get(str(kind).lower())
    return wanted is None or (isinstance(value, wanted) and (not isinstance(value, bool) or bool in wanted))


def named_right(case: Case, calls: Sequence[ToolCall]) -> bool:
    """Whether the right functions are called, each as often as it is to be."""
    return sorted(call.name for call in calls) == sorted(name for each in case.truth for name in each)


def right(case: Case, calls: Sequence[ToolCall]) -> bool:
    """Whether the calls answer the case: each one that is wanted, in any order, and no other."""
    left = list(calls)
    for allowed in case.truth:
        found = next((call for call in left if fits(call, case.tools) and _matches(call, allowed)), None)
        if found is None:
            return False
        left.remove(found)
    return not left


def _matches(call: ToolCall, allowed: Allowed) -> bool:
    return call.name in allowed and _object(call.arguments, allowed[call.name])


def _object(value: Mapping[str, Any], allowed: Mapping[str, Sequence[Any]]) -> bool:
    known = all(name in allowed and _one_of(each, allowed[name]) for name, each in value.items())
    return known and all(name in value or MISSING in values for name, values in allowed.items())


def _one_of(value: Any, allowed: Sequence[Any]) -> bool:
    return any(_same(value, each) for each in allowed)


def _same(value: Any, allowed: Any) -> bool:
    """Whether a value is the allowed one; of objects within, the values are lists of allowed ones again."""
    if isinstance(value, str) and isinstance(allowed, str):
        return _plain(value) == _plain(allowed)
    if isinstance(value, dict) and isinstance(allowed, dict):
        return _object(value, {name: each if isinstance(each, list) else [each] for name, each in allowed.items()})
    if isinstance(value, list) and isinstance(allowed, list):
        return len(value) == len(allowed) and all(map(_same, value, allowed))
    return isinstance(value, bool) == isinstance(allowed, bool) and bool(value == allowed)


def _plain(text: str) -> str:
    return PUNCTUATION.sub("", text).lower().replace("'", '"')
