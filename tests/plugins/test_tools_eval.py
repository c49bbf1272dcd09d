"""`chatapp eval tools`: which calls are right by the benchmark's rules, what is asked, going on after a stop."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from chatapp import Data, EngineError, Finished, Notice, Session, TextDelta, ToolCall, UsageError
from chatapp.testing import script
from chatapp_tools.bfcl import Case, fits, load, right
from tests.plugins.real import collect
from tests.plugins.tools_support import tools
from tests.support_plugins import refusal

BOOK = {
    "name": "hotel.book",
    "description": "Book.",
    "parameters": {
        "type": "dict",
        "properties": {
            "city": {"type": "string"},
            "nights": {"type": "integer"},
            "price": {"type": "float"},
            "tags": {"type": "array", "items": {"type": "string", "enum": ["quiet", "Cheap"]}},
            "guest": {"type": "dict", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}},
            "pair": {"type": "tuple", "items": {"type": "float"}},
            "sure": {"type": "boolean"},
            "other": {"type": "any"},
        },
        "required": ["city", "nights"],
    },
}
FIND = {"name": "find", "description": "Find.", "parameters": {"type": "dict", "properties": {}, "required": []}}
TRUTH = {
    "city": ["New York", "NYC"],
    "nights": [3],
    "price": [80.5, 80, ""],
    "tags": [["quiet", "Cheap"], ""],
    "guest": [{"name": ["Ann", "Anne"], "age": [3, ""]}, ""],
    "pair": [[1.5, 2.0], ""],
    "sure": [True, ""],
    "other": ["x", 1, ""],
}
LEAST = {"city": "NYC", "nights": 3}


def row(key: str, *truth: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A case as the benchmark has it."""
    question = [[{"role": "user", "content": f"Question {key}?"}]]
    return {"id": key, "question": question, "function": [BOOK, FIND], "ground_truth": list(truth), **more}


ROWS = [
    row("simple_0", {"hotel.book": TRUTH}),
    row("simple_1", {"hotel.book": TRUTH}),
    row("parallel_0", {"hotel.book": TRUTH}, {"find": {}}),
    row("irrelevance_0", category="irrelevance"),
    row("live_relevance_0"),
]


def call(name: str, **arguments: Any) -> ToolCall:
    """A call of a tool."""
    return ToolCall("1", name, arguments)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A few cases."""
    path = tmp_path / "cases.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in ROWS), encoding="utf-8")
    return path


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    """A session with the command."""
    async with tools(tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, True),
        ({"city": "new-york"}, True),
        ({"city": "Boston"}, False),
        ({"nights": 3.0}, False),
        ({"nights": "3"}, False),
        ({"nights": True}, False),
        ({"price": 80}, True),
        ({"price": 81}, False),
        ({"tags": ["QUIET", "cheap"]}, False),
        ({"tags": ["quiet", "Cheap"]}, True),
        ({"tags": ["Cheap", "quiet"]}, False),
        ({"guest": {"name": "anne"}}, True),
        ({"guest": {"age": 3}}, False),
        ({"guest": {"name": "Ann", "age": 4}}, False),
        ({"guest": {"name": "Ann", "pet": 4}}, False),
        ({"pair": [1.5, 2]}, True),
        ({"pair": [2, 1.5]}, False),
        ({"sure": False}, False),
        ({"sure": 1}, False),
        ({"other": 1}, True),
        ({"unknown": 1}, False),
    ],
)
def test_arguments_are_compared_as_the_benchmark_does(file: Path, given: dict[str, Any], expected: bool) -> None:
    case = load(file)[0]
    assert right(case, [call("hotel.book", **{**LEAST, **given})]) is expected


def test_what_is_required_and_what_may_be_left_out(file: Path) -> None:
    case = load(file)[0]
    assert not right(case, [call("hotel.book", city="NYC")])
    assert not right(case, [call("find", **LEAST)])
    assert not right(case, [])
    assert not right(case, [call("hotel.book", **LEAST), call("find")])
    assert not fits(call("hotel.book", city="NYC"), case.tools)
    assert not fits(call("nothing"), case.tools)
    assert fits(call("find"), case.tools)


def test_parallel_calls_come_in_any_order(file: Path) -> None:
    case = next(each for each in load(file) if each.category == "parallel")
    calls = [call("find"), call("hotel.book", **LEAST)]
    assert right(case, calls)
    assert right(case, calls[::-1])
    assert not right(case, [*calls, call("find")])
    assert not right(case, calls[:1])


async def evaluated(session: Session, line: str) -> tuple[Data, list[Any]]:
    """What an evaluation came to, and all it said."""
    events = await collect(session.run(line))
    (found,) = [event for event in events if isinstance(event, Data)]
    return found, events


async def test_each_category_is_told(session: Session, file: Path, tmp_path: Path) -> None:
    script(session).says(
        [call("hotel.book", **LEAST), Finished("tool_calls")],
        [call("hotel.book", **LEAST, price=9), Finished("tool_calls")],
        [call("find"), call("hotel.book", **LEAST), Finished("tool_calls")],
        "I do not know.",
        [TextDelta('<tool_call>{"name": '), Finished("stop")],
    )
    found, _ = await evaluated(session, f"/eval tools {file} --out {tmp_path}/out.jsonl")
    lines = found.text.splitlines()
    assert lines[0].startswith("irrelevance: 1 of 1 right: 100.0 % (95 % interval 20.7 to 100.0 %)")
    assert "simple: 1 of 2 right: 50.0 %" in found.text
    assert "  right function: 2 of 2" in lines
    assert found.value["live_relevance"]["right"] == 0
    assert found.value["live_relevance"]["valid"] == 0
    assert {key: found.value["all"][key] for key in ("right", "total", "called")} == {
        "right": 3,
        "total": 5,
        "called": 3,
    }
    requests = script(session).requests
    assert [tool.name for tool in requests[0].tools] == ["hotel.book", "find"]
    assert requests[0].sampling.temperature == 0.0
    assert requests[0].messages[-1].text == "Question simple_0?"
    kept = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()[1:]]
    assert [each["right"] for each in kept] == [True, False, True, True, False]
    assert kept[0]["called"] == [{"hotel.book": LEAST}]
    assert len(session.conversation) == 0


async def test_a_run_goes_on_after_a_stop(session: Session, file: Path) -> None:
    await evaluated(session, f"/eval tools {file} --limit 2")
    _, events = await evaluated(session, f"/eval tools {file}")
    assert len(script(session).requests) == 5
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert notice.text.startswith("2 of 5 are answered already in ")
    _, events = await evaluated(session, f"/eval tools {file} --only parallel")
    assert len(script(session).requests) == 5


async def test_one_category(session: Session, file: Path) -> None:
    found, _ = await evaluated(session, f"/eval tools {file} --only simple")
    assert list(found.value) == ["simple"]
    with pytest.raises(UsageError, match="no cases of the category 'hard'; it has irrelevance, live_relevance, par"):
        await evaluated(session, f"/eval tools {file} --only hard")


async def test_an_engine_that_fails_ends_it(session: Session, file: Path) -> None:
    script(session).says([Finished("failed", "The engine broke.")])
    with pytest.raises(EngineError, match="The engine broke"):
        await evaluated(session, f"/eval tools {file}")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{broken", "line 2: this is no case of that benchmark (JSONDecodeError"),
        ("[1]", "line 2: this is no case"),
        ('{"id": "a", "question": [], "function": []}', "line 2: this is no case of that benchmark (IndexError"),
        ('{"id": "a", "question": [[], []], "function": []}', "line 2: conversations of several turns"),
        ('{"id": "a", "question": [[]], "function": [{"name": "x"}]}', "line 2: this is no case"),
    ],
)
def test_a_row_that_is_none_is_named(tmp_path: Path, line: str, sentence: str) -> None:
    assert sentence in refusal(load, tmp_path / "rows.jsonl", json.dumps(ROWS[0]), line)


def test_one_function_and_messages_without_turns_will_do(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        json.dumps({"id": "x_1", "question": [{"role": "user", "content": "Hi"}], "function": FIND, "ground_truth": []})
    )
    (case,) = load(path)
    assert isinstance(case, Case)
    assert (case.category, case.messages[0].text, case.tools[0].name) == ("x", "Hi", "find")
