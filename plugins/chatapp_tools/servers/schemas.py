"""The JSON schemas of foreign tools, made harmless: bounded, without references, checked.

A schema comes from whoever wrote the server, and is put into prompts and grammars and used to check arguments.
References are replaced by what they stand for, since neither small models nor grammars follow them, and since schemas
that refer to each other can take exponential time to check. Regular expressions are left out for the same reason; the
server checks them itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any

LONGEST = 30_000
"""Characters of a schema as JSON, with references filled in."""
DEEPEST = 24
"""Levels of nesting; what lies deeper is not checked here."""

_TABLES = frozenset({"properties", "dependentSchemas"})
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_SCHEMAS = frozenset({"items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames"})
_LEFT_OUT = frozenset({"pattern", "patternProperties", "$ref", "$defs", "definitions", "$id", "$anchor", "$schema",
                       "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "unevaluatedProperties",
                       "unevaluatedItems"})  # fmt: skip


class Unusable(ValueError):
    """A schema that no tool is offered with; the text completes "its schema …"."""


def harmless(schema: Any) -> dict[str, Any]:
    """The schema of an object, ready to be offered and checked against; Unusable says why it is not."""
    if not isinstance(schema, Mapping):
        raise Unusable("is no object")
    if schema.get("type", "object") != "object":
        raise Unusable("is not that of an object")
    found = {"type": "object", "properties": {}, **_Flat(schema).filled(schema)}
    jsonschema = import_module("jsonschema")
    try:
        jsonschema.Draft202012Validator.check_schema(found)
    except jsonschema.SchemaError as error:
        raise Unusable(f"is not valid: {str(error.message)[:200]}") from None
    if not isinstance(found["properties"], dict):
        raise Unusable("is not valid: properties is no object")
    return found


class _Flat:
    """Fills the references of one schema in, within a budget of characters."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root
        self.left = LONGEST

    def filled(self, schema: Any, level: int = 0, inside: tuple[str, ...] = ()) -> dict[str, Any]:
        if isinstance(schema, bool):
            return {} if schema else {"not": {}}
        if not isinstance(schema, Mapping):
            raise Unusable("is not valid: a part of it is no object")
        if level > DEEPEST:
            return {}
        found = self._referred(schema, level, inside)
        for key, value in schema.items():
            if key not in _LEFT_OUT:
                found[key] = self._value(key, value, level + 1, inside)
        return found

    def _referred(self, schema: Mapping[str, Any], level: int, inside: tuple[str, ...]) -> dict[str, Any]:
        reference = schema.get("$ref")
        if reference is None or reference in inside:
            # What refers to itself is not checked below the first time.
            return {}
        return self.filled(self._target(reference), level + 1, (*inside, str(reference)))

    def _target(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise Unusable(f"refers to something outside of it ({str(reference)[:80]})")
        target: Any = self.root
        for step in reference[1:].split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, Mapping) or name not in target:
                raise Unusable(f"refers to something that is not in it ({reference[:80]})")
            target = target[name]
        return target

    def _value(self, key: str, value: Any, level: int, inside: tuple[str, ...]) -> Any:
        self._spend(len(key) + 4)
        if key in _TABLES and isinstance(value, Mapping):
            self._spend(sum(map(len, map(str, value))))
            return {str(name): self.filled(each, level, inside) for name, each in value.items()}
        if key in _LISTS and isinstance(value, list):
            return [self.filled(each, level, inside) for each in value]
        if key == "additionalProperties" and isinstance(value, bool):
            return value
        if key in _SCHEMAS:
            return self.filled(value, level, inside)
        self._spend(len(json.dumps(value)))
        return value

    def _spend(self, characters: int) -> None:
        self.left -= characters
        if self.left < 0:
            raise Unusable(f"is larger than {LONGEST:,} characters")
