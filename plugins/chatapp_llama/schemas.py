"""The schemas of tools as a model is shown them: JSON schema proper, without what only takes up room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatapp import Tool

TYPES = {
    "dict": "object", "map": "object", "hashmap": "object", "float": "number", "double": "number", "tuple": "array",
    "list": "array", "set": "array", "int": "integer", "long": "integer", "str": "string", "bool": "boolean",
    "none": "null",
}  # fmt: skip
"""Names of types that are none of JSON schema's, and what is meant. Berkeley's benchmark has the first and "float"."""
KNOWN = frozenset({"object", "array", "string", "number", "integer", "boolean", "null"})
MAPS = ("properties", "$defs", "definitions", "patternProperties")
LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
ONE = ("items", "additionalProperties", "not", "contains")
SPARED = frozenset({"title", "additionalProperties", "$schema"})
"""Keys that tell a model nothing."""


def clean(schema: Any) -> dict[str, Any]:
    """The schema with JSON schema's own types; "any" and unknown ones are left out, which allows every value."""
    if not isinstance(schema, Mapping):
        # `true` allows everything; whatever else stands here is no schema.
        return {}
    found = {key: _cleaned(key, value) for key, value in schema.items() if key != "type"}
    kind = _kind(schema.get("type"))
    return {"type": kind, **found} if kind else found


def _cleaned(key: str, value: Any) -> Any:
    if key in MAPS and isinstance(value, Mapping):
        return {str(name): clean(each) for name, each in value.items()}
    if key in LISTS and isinstance(value, list):
        return [clean(each) for each in value]
    if key in ONE and isinstance(value, Mapping):
        return clean(value)
    return value


def _kind(value: Any) -> Any:
    if isinstance(value, list):
        kinds = [kind for each in value if (kind := _kind(each))]
        return kinds if len(kinds) == len(value) else None
    name = value.lower() if isinstance(value, str) else ""
    name = TYPES.get(name, name)
    return name if name in KNOWN else None


def shown(schema: Any) -> Any:
    """The schema as the model reads it."""
    if isinstance(schema, list):
        return [shown(each) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    named = {key: {name: shown(each) for name, each in schema[key].items()} for key in MAPS if _is_map(schema, key)}
    return {key: named.get(key, shown(value)) for key, value in schema.items() if key in named or key not in SPARED}


def _is_map(schema: Mapping[str, Any], key: str) -> bool:
    return isinstance(schema.get(key), Mapping)


def described(tool: Tool) -> dict[str, Any]:
    """A tool in the form that chat templates expect."""
    parameters = shown(clean(tool.parameters))
    # Templates list the properties of an object; one without arguments has none.
    parameters = {"type": "object", "properties": {}, **parameters}
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": parameters},
    }
