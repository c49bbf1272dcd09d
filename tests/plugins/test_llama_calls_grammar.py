"""The grammar of calls: what it lets through validates, and is spelled as the chat template spells it."""

from __future__ import annotations

import ctypes
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from chatapp import Tool
from chatapp_llama.call_grammar import DEEPEST, PLAIN, call_grammar
from chatapp_llama.form import HERMES, Form
from chatapp_llama.schemas import clean, described

from .calling import ADD, LLAMA, MISTRAL, WEATHER, template

lib = pytest.importorskip("llama_cpp")


@pytest.fixture(scope="module")
def vocab(model_path: Path) -> Iterator[Any]:
    """The words of the real model, without its weights."""
    params = lib.llama_model_default_params()
    params.vocab_only = True
    model = lib.llama_model_load_from_file(str(model_path).encode(), params)
    yield lib.llama_model_get_vocab(model)
    lib.llama_model_free(model)


class Grammar:
    """A grammar asked about whole texts, token by token."""

    def __init__(self, vocab: Any, source: str) -> None:
        self._vocab, self._source = vocab, source

    def takes(self, text: str, *, ended: bool = True) -> bool:
        """Whether it lets all of the text through, and the answer end after it."""
        sampler = lib.llama_sampler_init_grammar(self._vocab, self._source.encode(), b"root")
        assert sampler, self._source
        try:
            tokens = (lib.llama_token * (len(text.encode()) + 8))()
            count = lib.llama_tokenize(self._vocab, text.encode(), len(text.encode()), tokens, len(tokens), False, True)
            wanted = [*tokens[:count], *([lib.llama_vocab_eos(self._vocab)] if ended else [])]
            return all(self._next(sampler, token) for token in wanted)
        finally:
            lib.llama_sampler_free(sampler)

    def _next(self, sampler: Any, token: int) -> bool:
        one = (lib.llama_token_data * 1)(lib.llama_token_data(token, 0.0, 0.0))
        array = lib.llama_token_data_array(one, 1, -1, False)
        lib.llama_sampler_apply(sampler, ctypes.byref(array))
        if one[0].logit == float("-inf"):
            return False
        if not lib.llama_vocab_is_eog(self._vocab, token):
            lib.llama_sampler_accept(sampler, token)
        return True


def value_grammar(vocab: Any, schema: Mapping[str, Any]) -> Grammar:
    """The grammar of one required argument of this schema, alone."""
    tool = Tool("t", "", {"type": "object", "properties": {"v": schema}, "required": ["v"], "$defs": DEFINED})
    return Grammar(vocab, call_grammar([tool], Form("", ":", "", "")))


DEFINED = {
    "Node": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "next": {"$ref": "#/$defs/Node"}},
        "required": ["name"],
    },
    "Self": {"$ref": "#/$defs/Self"},
    "Endless": {"type": "object", "properties": {"in": {"$ref": "#/$defs/Endless"}}, "required": ["in"]},
}
NODE = {"$ref": "#/$defs/Node"}
PAIR = {"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": "number"}}, "required": ["y"]}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "integer"}, [0, -1, 10, 123456789012345], ["01", "1.0", '"1"', "1e3", "", "+1", "true"]),
        ({"type": "integer", "minimum": 0}, [0, 7], ["-1"]),
        ({"type": "integer", "minimum": 8, "maximum": 11}, [8, 11], ["7", "12", "1"]),
        ({"type": "float"}, [0, -1.5, 0.001, 1e-05, 3], ["1.", ".5", '"1"', "NaN", "1e999"]),
        ({"type": "string"}, ["", "é 你 \U0001f600", 'a "q" \\ \n\t', "}{"], ['"a', '"\n"', '"\\x"', "a"]),
        ({"type": "string", "minLength": 2, "maxLength": 3}, ["ab", "a\n3"], ['"a"', '"abcd"']),
        ({"type": "string", "maxLength": 100000}, ["a" * 300], []),
        ({"type": "boolean"}, [True, False], ["True", "1", "null"]),
        ({"type": "null"}, [None], ["0"]),
        ({"enum": ["a b", 'q"', 3, None]}, ["a b", 'q"', 3, None], ['"a"', "4"]),
        ({"const": "x"}, ["x"], ['"y"']),
        ({"type": ["string", "null"]}, ["a", None], ["1"]),
        ({"anyOf": [{"type": "float"}, {"type": "null"}]}, [1.5, None], ['"a"']),
        ({"type": "array", "items": {"type": "integer"}}, [[], [1], [1, 2, 3]], ["[1,2]", "[1, ]", '["a"]', "[1"]),
        ({"items": {"type": "integer"}, "minItems": 2, "maxItems": 3}, [[1, 2], [1, 2, 3]], ["[1]", "[1, 2, 3, 4]"]),
        ({"type": "array", "items": {"type": "integer"}, "maxItems": 1}, [[], [1]], ["[1, 2]"]),
        ({"type": "tuple", "prefixItems": [{"type": "integer"}, {"type": "string"}]}, [[1, "a"]], ["[1]", '["a", 1]']),
        ({"type": "array"}, [[], [1, "a", [None], {"b": True}]], ["{}"]),
        (PAIR, [{"y": 1}, {"x": 1, "y": 2}], ["{}", '{"x": 1}', '{"y": 1, "x": 1}', '{"y":1}', '{"y": 1, "z": 1}']),
        ({"type": "dict"}, [{}, {"a": 1, "b": {"c": [1]}}], ["[]", "{a: 1}"]),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, [{}, {"a": 1}], ['{"a": "b"}']),
        ({"type": "any"}, [1, "a", None, [1], {"a": []}], ["a"]),
        ({}, [1, {"a": 1}], ["x"]),
        ({"allOf": [PAIR, {"properties": {"z": {}}, "required": ["z"]}]}, [{"y": 1, "z": None}], ['{"y": 1}']),
        (NODE, [{"name": "a"}, {"name": "a", "next": {"name": "b"}}], ["{}", '{"next": {"name": "a"}}']),
    ],
)  # fmt: skip
def test_a_value_is_what_its_schema_says(vocab: Any, schema: dict[str, Any], good: list[Any], bad: list[str]) -> None:
    grammar = value_grammar(vocab, schema)
    for value in good:
        assert grammar.takes(f't:{{"v": {json.dumps(value, ensure_ascii=False)}}}'), value
    for text in bad:
        assert not grammar.takes(f't:{{"v": {text}}}'), text


def test_optional_arguments_may_be_left_out_in_any_combination(vocab: Any) -> None:
    names = ("a", "b", "c", "d")
    properties = {name: {"type": "null"} for name in names}
    tool = Tool("t", "", {"type": "object", "properties": properties, "required": ["c"]})
    grammar = Grammar(vocab, call_grammar([tool], Form("", ":", "", "")))
    for bits in range(16):
        chosen = {name: None for place, name in enumerate(names) if bits >> place & 1}
        assert grammar.takes("t:" + json.dumps(chosen)) is ("c" in chosen), chosen


def test_many_optional_arguments_make_few_rules() -> None:
    properties = {f"p{place}": {"type": "integer"} for place in range(60)}
    source = call_grammar([Tool("t", "", {"type": "object", "properties": properties})], HERMES)
    assert source.count("::=") < 4 * 60


@pytest.mark.parametrize("reference", ["Self", "Endless", "Nothing"])
def test_a_schema_without_end_or_sense_allows_any_object_or_value(vocab: Any, reference: str) -> None:
    grammar = value_grammar(vocab, {"$ref": f"#/$defs/{reference}"})
    assert grammar.takes('t:{"v": 1}')
    assert not grammar.takes('t:{"v": }')


def test_nesting_ends(vocab: Any) -> None:
    grammar = value_grammar(vocab, {"type": "array"})
    inside = DEEPEST - 2
    assert grammar.takes(f't:{{"v": {"[" * inside}{"]" * inside}}}')
    assert not grammar.takes(f't:{{"v": {"[" * (inside + 2)}', ended=False)


def test_calls_are_spelled_as_the_template_does(vocab: Any) -> None:
    grammar = Grammar(vocab, call_grammar([ADD, WEATHER], HERMES))
    one = 'math.add", "arguments": {"a": 1, "b": 2.5}'
    other = 'weather", "arguments": {}'
    assert grammar.takes(one + HERMES.end)
    assert grammar.takes(one + HERMES.between + other + HERMES.end)
    assert not grammar.takes(one)
    for wrong in ("{one} {end}", "{one}}}</tool_call>", "{one}{end}\n", "{one}{end}\nDone."):
        assert not grammar.takes(wrong.format(one=one, end=HERMES.end)), wrong
    assert not grammar.takes('math.sub", "arguments": {"a": 1, "b": 2}' + HERMES.end)
    assert not grammar.takes('math.add", "arguments": {"b": 2}' + HERMES.end)


def test_the_calls_in_one_answer_are_counted(vocab: Any) -> None:
    grammar = Grammar(vocab, call_grammar([WEATHER], HERMES))
    one = 'weather", "arguments": {}'
    assert grammar.takes(HERMES.between.join([one] * 8) + HERMES.end)
    assert not grammar.takes(HERMES.between.join([one] * 9), ended=False)


@pytest.mark.parametrize("source", [LLAMA, MISTRAL], ids=["llama", "mistral"])
def test_the_forms_of_other_families(vocab: Any, source: str) -> None:
    form = template(source).form
    grammar = Grammar(vocab, call_grammar([WEATHER], form))
    one = f'weather{form.middle}{{"place": "Rome"}}'
    assert grammar.takes(one + form.end)
    assert grammar.takes(one + form.between + one + form.end) is bool(form.between)


def test_text_in_place_of_a_call(vocab: Any) -> None:
    grammar = Grammar(vocab, PLAIN)
    for text in ("Hello <b>.", "Nein: {1}", "äö"):
        assert grammar.takes(text)
    for text in ("<tool_call>", '{"name"', "[TOOL_CALLS]", "```json", "\n<", " "):
        assert not grammar.takes(text, ended=False)


def test_names_and_keys_may_have_any_characters(vocab: Any) -> None:
    tool = Tool('a"b\\c\n', "", {"type": "object", "properties": {'k"\\é': {"type": "integer"}}, "required": ['k"\\é']})
    grammar = Grammar(vocab, call_grammar([tool], Form("", ":", "", "")))
    assert grammar.takes('a"b\\c\n:' + json.dumps({'k"\\é': 1}, ensure_ascii=False))
    assert re.search(r"^root ::= ", call_grammar([tool], HERMES))


def test_types_that_are_none_of_json_schema_are_read_as_what_they_mean() -> None:
    schema = {
        "type": "dict",
        "properties": {
            "type": {"type": "float"},
            "pair": {"type": "tuple", "items": {"type": "any", "description": "x"}},
            "either": {"anyOf": [{"type": "float"}, {"type": "null"}]},
            "both": {"type": ["float", "string"]},
        },
        "required": ["type"],
    }
    assert clean(schema) == {
        "type": "object",
        "properties": {
            "type": {"type": "number"},
            "pair": {"type": "array", "items": {"description": "x"}},
            "either": {"anyOf": [{"type": "number"}, {"type": "null"}]},
            "both": {"type": ["number", "string"]},
        },
        "required": ["type"],
    }
    assert clean(True) == clean("nonsense") == {}


def test_a_tool_is_described_without_what_tells_the_model_nothing() -> None:
    schema = {"title": "T", "type": "object", "properties": {"title": {"title": "Title", "type": "string"}}}
    shown = described(Tool("t", "Does.", {**schema, "additionalProperties": False}))
    assert shown["function"]["parameters"] == {"type": "object", "properties": {"title": {"type": "string"}}}
    assert described(Tool("t", "Does.", {}))["function"]["parameters"] == {"type": "object", "properties": {}}
