"""Messages, parts and events as JSON: what is written can be read, and nothing wrong is let in."""

from __future__ import annotations

import json
import math
from types import MappingProxyType
from typing import Any

import pytest

from chatapp.codec import dump_event, dump_message, dump_part, load_message, load_part
from chatapp.errors import ArchiveError
from chatapp.events import Event, Finished, Notice, Progress, ReasoningDelta, TextDelta, TokenLogprob, Usage
from chatapp.jsonvalue import MAX_DEPTH, MAX_TEXT, decode, encode
from chatapp.messages import Data, Media, Message, Part, Reasoning, Source, Text, ToolCall, ToolResult

PARTS: list[Part] = [
    Text("Hello\x1b[31m\r\n\udc9b"),
    Reasoning("thinking", 1.5, 30),
    Reasoning("thinking"),
    ToolCall("call_1", "search", {"query": "x", "deep": [1, {"a": None}], "on": True}),
    ToolResult("call_1", "search", "found", failed=True),
    Media("/pictures/cat.png", "image/png", "A cat", {"seed": 7}),
    Source("Manual", "the passage", "file:///manual.pdf", "page 3", 1, 0.75),
    Source("Manual", "the passage", before="what is above", after="what is below"),
    Data("rag.stats", [1, 2.5, "three", None], "3 passages"),
    Data("unknown.text", {"kind": "text", "text": "forged"}),
    Data("unknown.other", {"kind": "new"}),
    Data("unknown.new", {"kind": "new"}, "with a note"),
]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.kind)
def test_part_comes_back_through_real_json(part: Part) -> None:
    assert load_part(decode(encode(dump_part(part)), "It")) == part


def test_message_comes_back_through_real_json() -> None:
    message = Message("assistant", tuple(PARTS), "abc123", 1_700_000_000.25, "context", {"model": "m", "n": {"a": [1]}})
    assert load_message(decode(encode(dump_message(message)), "It")) == message


def test_unknown_kind_is_kept_and_written_back_identically() -> None:
    raw = {"kind": "hologram", "rays": [1, {"x": None}], "text": "a part of the future"}
    part = load_part(raw)
    assert part == Data("unknown.hologram", raw, "")
    assert dump_part(part) == raw


def test_defaults_may_be_missing() -> None:
    assert load_part({"kind": "source", "title": "T", "text": "p"}) == Source("T", "p")
    assert load_message({"id": "a", "role": "user", "created": 5, "parts": []}) == Message("user", (), "a", 5.0)


def test_any_mapping_and_tuples_are_written_as_json() -> None:
    part = ToolCall("1", "go", MappingProxyType({"at": (1, 2), "to": MappingProxyType({"x": math.nan})}))
    assert dump_part(part)["arguments"] == {"at": [1, 2], "to": {"x": None}}


def _deep(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (None, "A part.kind should be text, not null."),
        ([], "A part.kind should be text, not null."),
        ({}, "A part.kind should be text, not null."),
        ({"kind": 3}, "A part.kind should be text, not 3."),
        ({"kind": "k" * 65}, "A part.kind is 65 characters long, and at most 64 can be kept."),
        ({"kind": "text"}, "A part.text should be text, not null."),
        ({"kind": "text", "text": 5}, "A part.text should be text, not 5."),
        ({"kind": "text", "text": "t", "html": "h"}, "A part has the unknown field 'html';"),
        ({"kind": "reasoning", "text": "", "seconds": "2"}, "A part.seconds should be a number or null, not '2'."),
        ({"kind": "reasoning", "text": "", "seconds": True}, "A part.seconds should be a number or null, not True."),
        ({"kind": "reasoning", "text": "", "tokens": 1.5}, "A part.tokens should be a whole number or null, not 1.5."),
        ({"kind": "reasoning", "text": "", "tokens": 2**63}, "A part.tokens should be a whole number or null"),
        (
            {"kind": "tool_call", "id": "1", "name": "n", "arguments": []},
            "A part.arguments should be an object, not list.",
        ),
        (
            {"kind": "tool_result", "call_id": "1", "name": "n", "text": "", "failed": 1},
            "should be true or false, not 1.",
        ),
        ({"kind": "data", "name": "n", "value": _deep(MAX_DEPTH + 1)}, "A part.value is too deep or too long"),
        ({"kind": "data", "name": "n", "value": {1: 2}}, "A key in A part.value should be text, not 1."),
        ({"kind": "data", "name": "n", "value": 10**400}, "A part.value should be a JSON value, not int."),
        ({"kind": "data", "name": "n", "value": [None] * 100_001}, "A part.value is too deep or too long"),
    ],
)
def test_bad_part_is_one_sentence(raw: object, said: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        load_part(raw)
    assert said in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": None}, "A message's id should be 1 to 64 letters, digits, dots or dashes, not null."),
        ({"id": "two words"}, "not 'two words'."),
        ({"id": "\x1b[31m"}, r"not '\x1b[31m'."),
        ({"id": "../x"}, "not '../x'."),
        ({"id": "-rf"}, "not '-rf'."),
        ({"id": "x" * 65}, "A message's id should be"),
        ({"role": "root"}, "Message m1: role should be one of system, user, assistant, tool, not 'root'."),
        ({"role": ["user"]}, "Message m1: role should be one of"),
        ({"created": "now"}, "Message m1: created should be a time"),
        ({"created": -1}, "Message m1: created should be a time in seconds since 1970, not -1."),
        ({"created": 1e300}, "Message m1: created should be a time"),
        ({"created": math.nan}, "Message m1: created should be a time"),
        ({"created": 10**400}, "Message m1: created should be a time in seconds since 1970, not int."),
        ({"parts": {}}, "Message m1: parts should be a list, not dict."),
        ({"parts": ["text"]}, "Message m1: parts[0].kind should be text, not null."),
        ({"parts": [{"kind": "text", "text": "a"}, {"kind": "text"}]}, "Message m1: parts[1].text should be text"),
        ({"parts": [None] * 100_001}, "Message m1: parts has 100,001 items, and at most 100,000 can be kept."),
        ({"context": 1}, "Message m1: context should be text, not 1."),
        ({"context": "x" * (MAX_TEXT + 1)}, "Message m1: context is 33,554,433 characters long"),
        ({"meta": None}, "Message m1: meta should be an object, not null."),
        ({"colour": "red"}, "A message has the unknown field 'colour'; a newer chatapp may have written it."),
    ],
)
def test_bad_message_is_one_sentence(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        load_message({"id": "m1", "role": "user", "created": 1.0, "parts": [], "context": "", "meta": {}} | change)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "message",
    [
        Message("user", (Text("x"),), id="not an id"),
        Message("user", (Text("x"),), meta={"path": object()}),
        Message("user", (Text("x"),), created=-5.0),
        Message("user", ("text",)),  # type: ignore[arg-type]
        Message("user", (Data("n", {1, 2}),)),
        Message("nobody", ()),  # type: ignore[arg-type]
    ],
)
def test_what_could_not_be_read_again_is_not_written(message: Message) -> None:
    with pytest.raises(ArchiveError):
        dump_message(message)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1', "The file is cut short or damaged: it stops being JSON at line 1, column 8."),
        ("[" * 100_000, "The file is nested too deeply"),
        ("NaN", "The file holds a number that JSON does not allow."),
        ("9" * 10_000, "The file holds a number that JSON does not allow."),
        ("", "The file is cut short or damaged"),
    ],
)
def test_bad_json_is_one_sentence(text: str, said: str) -> None:
    with pytest.raises(ArchiveError, match=said):
        decode(text, "The file")


def test_encoded_text_holds_nothing_that_a_terminal_obeys() -> None:
    text = "\x1b[31m\x7f\x9b\u202e\u2028\udc9b\U000e0041 你好 \\"
    assert encode(text) == r'"\u001b[31m\u007f\u009b\u202e\u2028\udc9b\udb40\udc41 你好 \\"'
    assert json.loads(encode(text)) == text


EVENTS: list[tuple[Event, dict[str, Any]]] = [
    (TextDelta("Hi"), {"event": "text_delta", "text": "Hi"}),
    (
        TextDelta("Hi", (TokenLogprob("Hi", -0.5, (("Hi", -0.5), ("Ho", -math.inf))),)),
        {
            "event": "text_delta",
            "text": "Hi",
            "logprobs": [{"token": "Hi", "logprob": -0.5, "top": [["Hi", -0.5], ["Ho", None]]}],
        },
    ),
    (ReasoningDelta("hm"), {"event": "reasoning_delta", "text": "hm"}),
    (
        Progress("Reading", 3, None, "tokens"),
        {"event": "progress", "label": "Reading", "done": 3, "total": None, "unit": "tokens"},
    ),
    (Notice("Careful", "warning"), {"event": "notice", "text": "Careful", "level": "warning"}),
    (Finished("failed", "It broke."), {"event": "finished", "reason": "failed", "error": "It broke."}),
    (ToolCall("1", "go", {"x": 1}), {"event": "tool_call", "id": "1", "name": "go", "arguments": {"x": 1}}),
    (Text("whole"), {"event": "text", "text": "whole"}),
    (Data("n", None), {"event": "data", "name": "n", "value": None, "text": ""}),
    (
        Usage(100, 60, 11, 0.5, 2.0, 4096),
        {
            "event": "usage",
            "prompt_tokens": 100,
            "reused_tokens": 60,
            "completion_tokens": 11,
            "first_token_seconds": 0.5,
            "completion_seconds": 2.0,
            "context_length": 4096,
            "evaluated_tokens": 40,
            "tokens_per_second": 5.0,
        },
    ),
]


@pytest.mark.parametrize(("event", "dumped"), EVENTS, ids=lambda value: type(value).__name__)
def test_event_has_a_stable_name_and_is_json(event: Event, dumped: dict[str, Any]) -> None:
    assert dump_event(event) == dumped
    assert json.loads(encode(dump_event(event))) == dumped


def test_usage_gives_spans_when_there_are_any() -> None:
    assert dump_event(Usage(spans=((0, 4), (4, 9))))["spans"] == [[0, 4], [4, 9]]
