"""The record of the public API, ``tests/api.json``: what is public, and how what changed changes it.

    python -m tests.record_api

writes it anew. What breaks plugins is only taken into it once the major version in `chatapp.API_VERSION` is raised, and
what is added once the minor is; `--unreleased` takes in anything, while no version with these names is published.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from pydantic import BaseModel

import chatapp
from chatapp import hookspecs
from chatapp.plugins import hook_names

FILE = Path(__file__).with_name("api.json")
HOW = "Record it with `python -m tests.record_api`, once chatapp.API_VERSION says what it is."
Record = dict[str, list[str]]
"""By name: its parameters and what it returns; of a class also each of its public members, as ``Class.member``."""


def public_api() -> Record:
    """The API as it is now."""
    found = {f"hook {name}": _signature(getattr(hookspecs, name)) for name in hook_names()}
    for name in chatapp.__all__:
        if name != "API_VERSION":
            found |= dict(_described(name, getattr(chatapp, name)))
    return dict(sorted(found.items()))


def _described(name: str, value: Any) -> Iterator[tuple[str, list[str]]]:
    if isinstance(value, type):
        yield name, _made(value)
        yield from _members(name, value)
    elif inspect.isroutine(value):
        yield name, _signature(value)
    else:
        yield name, [_plain(repr(value)) if type(value).__module__ in ("types", "typing") else type(value).__name__]


def _made(kind: type) -> list[str]:
    """How one is made."""
    if issubclass(kind, BaseModel):
        return [f"{name}: {_plain(str(field.annotation))} = …" for name, field in kind.model_fields.items()]
    if issubclass(kind, BaseException):
        return [base.__name__ for base in kind.__mro__[1:-1]]
    return ["protocol"] if Protocol in kind.__bases__ else _signature(kind)


def _members(name: str, kind: type) -> Iterator[tuple[str, list[str]]]:
    for member, value in inspect.getmembers_static(kind):
        owner = next((each for each in kind.__mro__ if member in vars(each)), kind)
        if member.startswith("_") or not owner.__module__.startswith("chatapp"):
            continue
        function = getattr(value, "__func__", value)
        if inspect.isfunction(function):
            yield f"{name}.{member}", _signature(function)
        else:
            yield f"{name}.{member}", ["attribute"]
    for member in _set_when_made(kind):
        yield f"{name}.{member}", ["attribute"]


def _set_when_made(kind: type) -> Iterator[str]:
    """The public attributes that __init__ sets."""
    made = vars(kind).get("__init__")
    if (
        made is None
        or not getattr(made, "__module__", "").startswith("chatapp")
        or hasattr(kind, "__dataclass_fields__")
    ):
        return
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(made)))):
        named = (
            isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self"
        )
        if named and isinstance(node, ast.Attribute) and not node.attr.startswith("_"):
            yield node.attr


def _signature(value: Any) -> list[str]:
    signature = inspect.signature(value)
    by_name = inspect.Parameter.KEYWORD_ONLY
    parts = [
        ("by name, " if each.kind is by_name else "") + _plain(str(each)) for each in signature.parameters.values()
    ]
    given = signature.return_annotation
    return [*parts, f"-> {_plain(given if isinstance(given, str) else inspect.formatannotation(given))}"]


def _plain(text: str) -> str:
    """Without what differs from run to run, and the quotation marks of annotations."""
    return re.sub(r"<function ([^>]*?>?[^>]*?) at 0x\w+>", r"<\1>", text).replace("'", "")


def additions(before: Record, now: Record) -> list[str]:
    """What is new, and hurts nobody."""
    return [*(name for name in now if name not in before and not _demanded(name, now)), *_grown(before, now)]


def breaks(before: Record, now: Record) -> list[str]:
    """What a plugin may stumble over: what is gone, what is otherwise, and what a protocol demands that it did not."""
    gone = [name for name in before if name not in now]
    demanded = [
        name for name in now if name not in before and _demanded(name, now) and name.partition(".")[0] in before
    ]
    grown = set(_grown(before, now))
    changed = [name for name in before if name in now and before[name] != now[name] and name not in grown]
    return [*gone, *demanded, *changed]


def _demanded(name: str, record: Record) -> bool:
    """Whether it is a member of a protocol that plugins implement."""
    kind, dot, _ = name.partition(".")
    return bool(dot) and record.get(kind) == ["protocol"]


def _grown(before: Record, now: Record) -> Iterator[str]:
    """What takes more than it did, all of it optional; hooks may hand out more, as nobody need take it."""
    for name, old in before.items():
        new = now.get(name, old)
        more = [part for part in new if part not in old]
        same = [part for part in new if part in old]
        optional = all(" = " in part or "*" in part for part in more) or name.startswith("hook ")
        if new != old and same == old and optional and new[-1] == old[-1] and not _demanded(name, before):
            yield name


def recorded() -> tuple[str, Record]:
    """The version and the API that were recorded."""
    if not FILE.exists():
        return "0.0", {}
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    return kept["version"], kept["api"]


def due(version: str, before: Record, now: Record) -> str:
    """The version that the API as it is now must have at least."""
    major, minor = map(int, version.split("."))
    if breaks(before, now):
        return f"{major + 1}.0"
    return f"{major}.{minor + 1}" if additions(before, now) else version


def main(arguments: list[str]) -> int:
    """Record the API; 1 where its version was not raised as it must be."""
    version, before = recorded()
    now = public_api()
    wanted = due(version, before, now)
    for what, names in (("broken", breaks(before, now)), ("added", additions(before, now))):
        sys.stdout.writelines(f"{what}: {name}\n" for name in names)
    late = [*map(int, chatapp.API_VERSION.split("."))] < [*map(int, wanted.split("."))]
    if late and FILE.exists() and "--unreleased" not in arguments:
        sys.stderr.write(f"chatapp.API_VERSION is {chatapp.API_VERSION} and must be {wanted}: raise it first.\n")
        return 1
    # A line for each name: a change is then easy to read.
    rows = ",\n".join(f"{json.dumps(name)}: {json.dumps(parts, ensure_ascii=False)}" for name, parts in now.items())
    FILE.write_text(f'{{"version": "{chatapp.API_VERSION}", "api": {{\n{rows}\n}}}}\n', encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
