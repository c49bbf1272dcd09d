"""`plugin check`: what a plugin declares (settings, actions), and the package it comes in."""

from __future__ import annotations

import importlib.metadata
import inspect
import re
import tomllib
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatapp.actions import Action, Param, arguments_model
from chatapp.authoring.checking import Finding, Level, Target
from chatapp.authoring.checking_import import Imported, at, place
from chatapp.plugins import FAILURES

if TYPE_CHECKING:
    from chatapp.host import Host

TYPES = (str, int, float, bool, Path)
"""What the words of a command can be."""
SHORTEST_README = 100
"""Characters below which a README says nothing."""


def declared(host: Host, made: Imported) -> Iterator[Finding]:
    """What is wrong with the plugin's settings and actions."""
    name = made.target.name
    for problem in host.problems:
        yield made.finding("error", "actions", problem, "Give it another name.")
    for sentence in host.plugins[name].reported:
        rule = "settings" if "failed in settings" in sentence else "hooks"
        yield made.finding("error", rule, sentence, "Mend what it raises.")
    model = host.configs.get(name)
    for key, field in model.model_fields.items() if model is not None else ():
        if not field.description:
            where = _field(model, key)
            yield made.finding(
                "error", "settings", f"The setting {key!r} has no description.", "Write Field(…, description=…).", where
            )
    for action in host.actions.values():
        if action.owner == name:
            yield from _action(action, made)


def _field(model: Any, key: str) -> str:
    """Where a settings model has this field."""
    try:
        lines, first = inspect.getsourcelines(model)
    except (OSError, TypeError):
        return ""
    line = next((at for at, text in enumerate(lines) if re.match(rf"\s+{key}\s*:", text)), 0)
    return place(inspect.getsourcefile(model) or "", first + line)


def _action(action: Action, made: Imported) -> Iterator[Finding]:
    where = at(action.function)
    named = f"The action {action.name!r}"
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*( [a-z0-9][a-z0-9-]*)*", action.name):
        change = "Write lower-case words with single spaces between them."
        yield made.finding("error", "actions", f"{named} has a name that is hard to type.", change, where)
    for param in action.params:
        if not param.help:
            what = f"{named} does not say what {param.name!r} is."
            change = f'Write {param.name}: Annotated[{_type(param)}, "What it is"].'
            yield made.finding("error", "actions", what, change, where)
        if param.type not in TYPES and typing.get_origin(param.type) is not typing.Literal:
            what = f"{named} takes {param.name!r} as {_type(param)}, which is no type for a word."
            yield made.finding("error", "actions", what, "Use str, int, float, bool, Path or Literal.", where)
    if action.tool and action.schema is None:
        try:
            arguments_model(action).model_json_schema()
        except FAILURES as error:
            what = f"{named} is a tool, and its arguments have no JSON schema: {error}"
            yield made.finding("error", "actions", what.splitlines()[0], "Use plainer types.", where)


def _type(param: Param) -> str:
    if typing.get_origin(param.type) is typing.Literal:
        return str(param.type).removeprefix("typing.")
    return getattr(param.type, "__name__", str(param.type))


@dataclass(frozen=True, slots=True)
class Facts:
    """What a package says of itself."""

    where: str
    readme: str
    requires_python: str
    requires: list[str]


def package(target: Target) -> Iterator[Finding]:
    """What is wrong with the package that a plugin comes in; a single file has none."""
    if target.file:
        return
    facts = _bundled(target) if target.bundled else _of_project(target) if target.project else _of_metadata(target)
    if facts is not None:
        yield from (
            Finding(target.name, level, "package", facts.where, what, change) for level, what, change in _lacks(facts)
        )


def _lacks(facts: Facts) -> Iterator[tuple[Level, str, str]]:
    if len(facts.readme.strip()) < SHORTEST_README:
        yield ("error", "It has no README that says what it does.", "Write README.md and name it as `readme`.")
    if not facts.requires_python:
        change = 'Write requires-python = ">=3.11" in [project].'
        yield ("warning", "It does not say which Python it needs.", change)
    wanted = [each for each in facts.requires if re.match(r"chatapp\b(?![-_.])", each)]
    if not wanted:
        yield ("warning", "It does not require chatapp.", 'Add "chatapp" to dependencies.')
    for each in facts.requires:
        if "==" in each.partition(";")[0]:
            what = f"It requires one exact version: {each}. No other plugin can then need a newer one."
            yield ("warning", what, "Give a range: the oldest that works, below the next major version.")


def _bundled(target: Target) -> Facts | None:
    """Of a bundled plugin only the README is its own."""
    import importlib.util

    found = importlib.util.find_spec(target.module.partition(":")[0])
    folders = list(found.submodule_search_locations or ()) if found is not None else []
    if not folders:
        return None
    readme = Path(folders[0]) / "README.md"
    return Facts(place(readme, 1), _text(readme), ">=3.11", ["chatapp"])


def _of_project(target: Target) -> Facts | None:
    folder = Path(target.project)
    path = folder / "pyproject.toml"
    if not path.is_file():
        return None
    project: Mapping[str, Any] = tomllib.loads(_text(path)).get("project", {})
    readme = project.get("readme", "")
    name = readme.get("file", "") if isinstance(readme, dict) else str(readme)
    text = _text(folder / name) if name else ""
    return Facts(place(path, 1), text, str(project.get("requires-python", "")), list(project.get("dependencies", [])))


def _of_metadata(target: Target) -> Facts | None:
    """What the installed distribution says whose entry point it is."""
    entries = importlib.metadata.entry_points(group="chatapp", name=target.name)
    dist = next((each.dist for each in entries if each.dist is not None), None)
    if dist is None:
        return None
    meta = dist.metadata
    readme = str(meta.json.get("description", ""))
    return Facts(
        f"{dist.name} {dist.version}", readme, str(meta.json.get("requires_python", "")), list(dist.requires or ())
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
