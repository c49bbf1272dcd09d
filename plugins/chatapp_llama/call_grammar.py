"""A grammar (GBNF, llama.cpp's) of the calls that tools allow, from their JSON schemas.

llama.cpp's own converter leaves spaces free and puts required properties first. Here what is written is exactly what
the chat template will repeat in the next prompt: one spelling of every value, in the order of the schema. What a
grammar cannot hold well (`pattern`, `format`, wide ranges of numbers, unique items) is left to the tool to check.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chatapp import Tool
from chatapp_llama.form import Form
from chatapp_llama.schemas import clean

MOST_CALLS = 8
"""Calls in one answer: a small model may not find the end by itself."""
DEEPEST = 6
"""Levels of objects and arrays in one another; a schema may refer to itself."""
MOST_COUNTED = 100
"""Up to here lengths are counted in the grammar; llama.cpp makes a rule of every count."""
CHAR = r'([^"\\\x00-\x1F] | "\\" ["\\bfnrt])'
INTEGER = '"-"? ("0" | [1-9] [0-9]{0,14})'
NUMBER = f'{INTEGER} ("." [0-9]{{1,15}})? ([eE] [-+]? [0-9]{{1,2}})?'
PLAIN = r"root ::= [^\x00-\x2F\x3A-\x40\x5B-\x60\x7B-\x7F] [^\x00]*"
"""Text that begins with a letter or digit of any script, not as a call does."""


def literal(text: str) -> str:
    """A text as a terminal of the grammar."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"' if text else '""'


def call_grammar(tools: Sequence[Tool], form: Form) -> str:
    """The grammar of what follows `form.begin`: one call or several, to the end of the answer."""
    rules = Rules(form)
    heads = [f"{literal(tool.name + form.middle)} {rules.arguments(tool.parameters)}" for tool in tools]
    call = rules.add(" | ".join(heads))
    more = f" ({literal(form.between)} {call}){{0,{MOST_CALLS - 1}}}" if form.between else ""
    return "\n".join([f"root ::= {call}{more} {literal(form.end)}", *rules.lines()])


class Rules:
    """The rules made so far; each is made once. A schema that no value fits at this depth gives None."""

    def __init__(self, form: Form) -> None:
        self._colon, self._comma = literal(form.colon), literal(form.comma)
        self._names: dict[str, str] = {}
        self._made: dict[tuple[str, int], str | None] = {}
        self._root: Mapping[str, Any] = {}

    def lines(self) -> list[str]:
        """All rules."""
        return [f"{name} ::= {body}" for body, name in self._names.items()]

    def add(self, body: str) -> str:
        """The name of the rule with this body."""
        return self._names.setdefault(body, f"r{len(self._names)}")

    def arguments(self, parameters: Mapping[str, Any]) -> str:
        """The arguments of a tool; any object where its schema cannot be used."""
        self._root, self._made = clean(parameters), {}
        schema = {"type": "object", "properties": {}, **self._root} if "$ref" not in self._root else self._root
        return self.value(schema, DEEPEST) or self._free_object(DEEPEST)

    def value(self, schema: Any, depth: int) -> str | None:
        """The rule of a value."""
        key = json.dumps(schema, sort_keys=False, default=str), depth
        if key not in self._made:
            body = self._body(schema, depth) if isinstance(schema, Mapping) else self._any(depth)
            self._made[key] = body and self.add(body)
        return self._made[key]

    def _body(self, schema: Mapping[str, Any], depth: int) -> str | None:
        if "$ref" in schema:
            found = self._referred(str(schema["$ref"]))
            # A reference takes a level too: one that refers to itself alone would never end.
            return self.value(found, depth - 1) if depth > 0 else None
        if "const" in schema or "enum" in schema:
            return _or(literal(_json(each)) for each in schema.get("enum", [schema.get("const")]))
        several = schema.get("anyOf") or schema.get("oneOf")
        if several:
            return _or(self.value(each, depth) for each in several)
        if schema.get("allOf"):
            return self.value(self._merged(schema), depth)
        kind = schema.get("type") or _implied(schema)
        if isinstance(kind, list):
            return _or(self.value({**schema, "type": each}, depth) for each in kind)
        return self._of_kind(kind, schema, depth)

    def _of_kind(self, kind: Any, schema: Mapping[str, Any], depth: int) -> str | None:
        if kind in ("object", "array"):
            return (self._object if kind == "object" else self._array)(schema, depth - 1) if depth > 0 else None
        if kind == "string":
            return f'"\\"" {self.add(CHAR)}{_times(schema.get("minLength"), schema.get("maxLength"))} "\\""'
        if kind == "integer":
            return _integers(schema)
        simple = {"number": NUMBER, "boolean": '"true" | "false"', "null": '"null"'}
        return simple.get(str(kind)) or self._any(depth)

    def _any(self, depth: int) -> str | None:
        kinds = ("string", "number", "boolean", "null", "array", "object")
        return _or(self.value({"type": each}, depth) for each in kinds)

    def _object(self, schema: Mapping[str, Any], depth: int) -> str | None:
        properties, more = schema.get("properties"), schema.get("additionalProperties")
        if not isinstance(properties, Mapping) or (not properties and more):
            return self._map(more if isinstance(more, Mapping) else {}, depth)
        required = set(schema.get("required") or ())
        rules = {name: self.value(each, depth) for name, each in properties.items()}
        if any(rules.get(name) is None for name in required & set(properties)):
            return None
        pairs = [
            (f"{literal(_json(name))} {self._colon} {rule}", name in required) for name, rule in rules.items() if rule
        ]
        return f'"{{" {self._pairs(pairs)} "}}"'

    def _pairs(self, pairs: Sequence[tuple[str, bool]]) -> str:
        """Pairs in their order, those that are not required left out or not. Two rules per place, not 2^n."""
        first = later = '""'
        for pair, required in reversed(pairs):
            with_first, with_later = f"{pair} {later}", f"{self._comma} {pair} {later}"
            first = self.add(with_first if required else f"{with_first} | {first}")
            later = self.add(with_later if required else f"({with_later}) | {later}")
        return first

    def _map(self, schema: Mapping[str, Any], depth: int) -> str:
        value, key = self.value(schema, depth), self.value({"type": "string"}, depth)
        if value is None:
            return literal("{}")
        pair = self.add(f"{key} {self._colon} {value}")
        return f'"{{" ({pair} ({self._comma} {pair})*)? "}}"'

    def _free_object(self, depth: int) -> str:
        return self.add(self._map({}, depth))

    def _array(self, schema: Mapping[str, Any], depth: int) -> str | None:
        fixed = schema.get("prefixItems")
        items = schema.get("items")
        if isinstance(fixed, list) and fixed:
            rules = [self.value(each, depth) for each in fixed]
            return None if None in rules else f'"[" {f" {self._comma} ".join(map(str, rules))} "]"'
        item = self.value(items if isinstance(items, Mapping) else {}, depth)
        least, most = _count(schema.get("minItems"), 0), _count(schema.get("maxItems"), None)
        if item is None or most == 0:
            return None if least else literal("[]")
        more = f"({self._comma} {item}){_times(max((least or 0) - 1, 0), None if most is None else most - 1)}"
        return f'"[" {item} {more} "]"' if least else f'"[" ({item} {more})? "]"'

    def _referred(self, reference: str) -> Any:
        found: Any = self._root
        for step in reference.removeprefix("#").strip("/").split("/"):
            step = step.replace("~1", "/").replace("~0", "~")
            found = found.get(step, {}) if step and isinstance(found, Mapping) else found if not step else {}
        return found

    def _merged(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        merged = {key: value for key, value in schema.items() if key != "allOf"}
        for each in schema["allOf"]:
            part = self._referred(str(each["$ref"])) if "$ref" in each else each
            properties = {**merged.get("properties", {}), **part.get("properties", {})}
            required = [*merged.get("required", ()), *part.get("required", ())]
            merged |= {**part, **({"properties": properties} if properties else {}), "required": required}
        return merged


def _implied(schema: Mapping[str, Any]) -> str | None:
    """The type that a schema speaks of without naming it."""
    return "object" if "properties" in schema else "array" if "items" in schema or "prefixItems" in schema else None


def _or(bodies: Iterable[str | None]) -> str | None:
    return " | ".join(body for body in bodies if body) or None


def _integers(schema: Mapping[str, Any]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if isinstance(low, int) and isinstance(high, int) and 0 <= high - low < MOST_COUNTED:
        return " | ".join(literal(str(each)) for each in range(low, high + 1))
    # A minimum that is not negative is common, and the sign easily kept out.
    return INTEGER.removeprefix('"-"? ') if isinstance(low, (int, float)) and low >= 0 else INTEGER


def _count(value: Any, default: int | None) -> int | None:
    return value if isinstance(value, int) and value >= 0 else default


def _times(least: Any, most: Any) -> str:
    low, high = min(_count(least, 0) or 0, MOST_COUNTED), _count(most, None)
    if high is None or high > MOST_COUNTED:
        return f"{{{low},}}" if low else "*"
    return f"{{{min(low, high)},{high}}}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
