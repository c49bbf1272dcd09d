"""The definitions of a program, as places in the text: what class and function a passage of code stands in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

GRAMMARS: Final = {
    "python": ("tree_sitter_python", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "rust": ("tree_sitter_rust", "language"),
    "go": ("tree_sitter_go", "language"),
    "java": ("tree_sitter_java", "language"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "bash": ("tree_sitter_bash", "language"),
}
"""Per language, the package of its tree-sitter grammar and the function in it."""

_KINDS: Final = frozenset(
    [
        *("class_definition", "function_definition", "function_declaration", "generator_function_declaration"),
        *("class_declaration", "abstract_class_declaration", "method_definition", "interface_declaration"),
        *("enum_declaration", "internal_module", "function_item", "struct_item", "enum_item", "trait_item"),
        *("impl_item", "mod_item", "method_declaration", "constructor_declaration", "record_declaration"),
        *("class_specifier", "struct_specifier", "enum_specifier", "namespace_definition", "type_spec"),
    ]
)
_WRAPPERS: Final = frozenset({"decorated_definition", "export_statement", "template_declaration", "type_declaration"})
_FUNCTIONS: Final = frozenset({"arrow_function", "function_expression"})
_ANNOTATION = re.compile(r"@[\w.]+(\([^()]*\))?\s*")
_LONGEST: Final = 80


class Definition(NamedTuple):
    """A class, function or the like: where it begins and ends in the text, and its name with the word before it."""

    start: int
    end: int
    label: str


def grammar(language: str) -> Any | None:
    """The grammar of a programming language for a splitter; None where it is not installed."""
    module, function = GRAMMARS.get(language, ("", ""))
    if not module or find_spec(module) is None or find_spec("tree_sitter") is None:
        return None
    return getattr(import_module(module), function)()


def definitions(text: str, grammar: Any) -> list[Definition]:
    """The definitions in a program, the outer before the inner."""
    from tree_sitter import Language, Parser

    data = text.encode("utf-8")
    tree = Parser(Language(grammar)).parse(data)
    found = list(_walk(tree.root_node, data))
    places = _characters(data, sorted({place for start, end, _ in found for place in (start, end)}))
    return [Definition(places[start], places[end], label) for start, end, label in found]


def _walk(root: Any, data: bytes) -> Iterator[tuple[int, int, str]]:
    # With a stack: the tree of a long expression is deeper than Python's own calls may go.
    stack = [root]
    while stack:
        node = stack.pop()
        label = _label(node, data)
        if label:
            outer = node.parent if node.parent is not None and node.parent.type in _WRAPPERS else node
            yield outer.start_byte, outer.end_byte, label
        stack.extend(reversed(node.named_children))


def _label(node: Any, data: bytes) -> str:
    if node.type == "variable_declarator":
        value, name = node.child_by_field_name("value"), node.child_by_field_name("name")
        return _text(data, name.start_byte, name.end_byte) if value is not None and value.type in _FUNCTIONS else ""
    if node.type not in _KINDS:
        return ""
    name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
    if node.type == "type_spec":
        return f"type {_text(data, name.start_byte, name.end_byte)}"
    if body is None:
        return ""
    if name is None:
        return _text(data, node.start_byte, body.start_byte).split("(")[0].rstrip(" {")
    return _text(data, node.start_byte, name.end_byte)


def _text(data: bytes, start: int, end: int) -> str:
    text = " ".join(data[start:end].decode("utf-8", "replace").split())
    return _ANNOTATION.sub("", text)[:_LONGEST]


def _characters(data: bytes, places: list[int]) -> dict[int, int]:
    """The offset in characters of each offset in bytes; `places` ascend."""
    found, count, last = {}, 0, 0
    for place in places:
        count += len(data[last:place].decode("utf-8", "replace"))
        found[place], last = count, place
    return found
