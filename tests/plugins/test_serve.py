"""`chatapp serve` with the scripted engine: conversations, shapes, refusals."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio

from chatapp import EngineError, Finished, ReasoningDelta, TextDelta, ToolCall
from chatapp.testing import ScriptedEngine
from tests.plugins.serve_support import Serving, ask, fresh, read, scripted

pytestmark = pytest.mark.asyncio(loop_scope="module")

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def _served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serving]:
    async with scripted(tmp_path_factory.mktemp("served"), ScriptedEngine()) as made:
        yield made


@pytest.fixture
def engine(_served: Serving) -> ScriptedEngine:
    """The engine behind the server, as if it had just been opened."""
    return fresh(_served)


@pytest.fixture
def served(_served: Serving, engine: ScriptedEngine) -> Serving:
    """A served host."""
    return _served


async def test_a_conversation_of_several_turns(served: Serving, engine: ScriptedEngine) -> None:
    engine.says("Hello there.", "Fine.")
    said: Any = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi"}]
    first = await served.client.chat.completions.create(model="scripted", messages=said, temperature=0.2, max_tokens=9)
    assert first.choices[0].message.content == "Hello there."
    assert first.choices[0].finish_reason == "stop"
    assert first.usage is not None
    assert first.usage.completion_tokens == 2
    said += [{"role": "assistant", "content": "Hello there."}, {"role": "user", "content": "How are you?"}]
    second = await served.client.chat.completions.create(model="scripted", messages=said)
    assert second.usage is not None
    assert second.usage.prompt_tokens_details is not None
    assert second.usage.prompt_tokens_details.cached_tokens == first.usage.total_tokens + 1
    request = engine.requests[1]
    assert [(each.role, each.text) for each in request.messages] == [
        ("system", "Be short."),
        ("user", "Hi"),
        ("assistant", "Hello there."),
        ("user", "How are you?"),
    ]
    assert (engine.requests[0].sampling.temperature, engine.requests[0].sampling.max_tokens) == (0.2, 9)
    assert list((served.host.paths.data).glob("conversations*")) == []


async def test_a_streamed_answer(served: Serving, engine: ScriptedEngine) -> None:
    engine.says([ReasoningDelta("Hm."), TextDelta("One"), TextDelta(" two"), Finished("length")])
    stream = await served.client.chat.completions.create(
        model="", messages=[{"role": "user", "content": "Count"}], stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(each.choices[0].delta.content or "" for each in chunks if each.choices) == "One two"
    assert len({each.id for each in chunks}) == 1
    assert chunks[-1].choices == []
    assert chunks[-2].choices[0].finish_reason == "length"
    assert "Hm." in [getattr(each.choices[0].delta, "reasoning_content", "") for each in chunks if each.choices]


async def test_tools_are_the_clients(served: Serving, engine: ScriptedEngine) -> None:
    engine.says([ToolCall("c1", "weather", {"city": "Lisboa"}), Finished("tool_calls")], "It is sunny.")
    said: Any = [{"role": "user", "content": "How is the weather?"}]
    first = await served.client.chat.completions.create(model="", messages=said, tools=[WEATHER])
    assert first.choices[0].finish_reason == "tool_calls"
    calls: Any = first.choices[0].message.tool_calls
    assert [(each.id, each.function.name, json.loads(each.function.arguments)) for each in calls] == [
        ("c1", "weather", {"city": "Lisboa"})
    ]
    said += [
        first.choices[0].message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": "c1", "content": "Sunny."},
    ]
    second = await served.client.chat.completions.create(model="", messages=said, tools=[WEATHER])
    assert second.choices[0].message.content == "It is sunny."
    assert [each.role for each in engine.requests[1].messages][-3:] == ["user", "assistant", "tool"]
    assert [each.name for each in engine.requests[1].tools] == ["weather"]


async def test_several_answers_and_their_seeds(served: Serving, engine: ScriptedEngine) -> None:
    engine.says("One.", "Two.", "Three.")
    found = await served.client.chat.completions.create(
        model="", messages=[{"role": "user", "content": "Hi"}], n=3, seed=7, stop="x"
    )
    assert [each.message.content for each in found.choices] == ["One.", "Two.", "Three."]
    assert [each.sampling.seed for each in engine.requests] == [7, 8, 9]
    assert engine.requests[0].sampling.stop[0] == "x"


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ("not json", 400, "The body is not JSON."),
        ("[" * 100_000, 400, "The body is not JSON."),
        ("[]", 400, "The body: "),
        ("{}", 400, "messages: Field required."),
        ('{"messages": []}', 400, "messages: "),
        ('{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}', 400, "only text is read here"),
        ('{"messages": [{"role": "assistant", "content": "Hi"}]}', 400, "There is nothing to answer"),
        ('{"messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]}', 400, "which nobody made"),
        ('{"messages": [{"role": "user", "content": "x"}], "n": 99}', 400, "8 answers are the most"),
        ('{"messages": [{"role": "user", "content": "x"}], "model": "../../etc/passwd"}', 404, "There is no model"),
        ('{"messages": [{"role": "user", "content": "x"}], "model": "+role:../x"}', 404, ""),
        ('{"messages": [{"role": "user", "content": "x"}], "model": "scripted+tools:run_command"}', 404, "switched on"),
        ('{"messages": [{"role": "user", "content": "x"}], "temperature": "hot"}', 400, "temperature: "),
        ('{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}', 400, "temperature: "),
        ('{"messages": [{"role": "user", "content": "\\ud800"}]}', 400, "lone surrogate"),
        ('{"messages": [{"role": "user", "content": "x"}], "tool_choice": "required"}', 400, "there are no tools"),
        ('{"messages": [{"role": "user", "content": "x"}], "tool_choice": {"function": "x"}}', 400, "tool_choice"),
        (
            '{"messages": [{"role": "user", "content": "x"}], "tool_choice": {"function": {"name": "x"}}}',
            400,
            "none of the tools",
        ),
        (
            '{"messages": [{"role": "assistant", "tool_calls": '
            '[{"id": "1", "function": {"name": "x", "arguments": "["}}]}]}',
            400,
            "are not JSON",
        ),
    ],
)
async def test_what_cannot_be_answered_is_said_in_a_sentence(
    served: Serving, engine: ScriptedEngine, body: str, status: int, text: str
) -> None:
    found = await served.bare.post(
        "/chat/completions", content=body, headers={"Content-Type": "application/json; charset=utf-8"}
    )
    assert found.status_code == status
    error = found.json()["error"]
    assert text in error["message"]
    assert "Traceback" not in found.text
    assert engine.requests == []


async def test_a_request_that_is_too_large_or_no_json(tmp_path: Path) -> None:
    async with scripted(tmp_path, largest=1) as served:
        large = await served.bare.post("/chat/completions", json=ask("x" * 2**20))
        assert (large.status_code, large.json()["error"]["message"]) == (413, "The request is larger than 1 MB.")
        plain = await served.bare.post("/chat/completions", content=json.dumps(ask("x")))
        assert plain.status_code == 415


async def test_an_engine_that_fails(served: Serving, engine: ScriptedEngine) -> None:
    broken: Any = [TextDelta("So far"), RuntimeError("broken")]
    engine.says(broken, broken)
    with pytest.raises(openai.UnprocessableEntityError, match="The engine failed"):
        await served.client.chat.completions.create(model="", messages=[{"role": "user", "content": "Hi"}])
    found = await served.bare.post("/chat/completions", json=ask("Hi", stream=True))
    lines = [line.removeprefix("data: ") for line in found.text.split("\n\n") if line]
    assert json.loads(lines[1])["choices"][0]["delta"] == {"content": "So far"}
    assert "The engine failed" in json.loads(lines[-1])["error"]["message"]


async def test_what_fails_before_the_first_word_is_no_stream(served: Serving, engine: ScriptedEngine) -> None:
    engine.says([EngineError("The model is gone.")])
    found = await served.bare.post("/chat/completions", json=ask("Hi", stream=True))
    assert (found.status_code, found.headers["Content-Type"]) == (422, "application/json")
    assert found.json()["error"]["message"] == "The model is gone."


async def test_several_answers_streamed(served: Serving, engine: ScriptedEngine) -> None:
    engine.says("One two.", "Three.")
    stream = await served.client.chat.completions.create(
        model="", messages=[{"role": "user", "content": "Hi"}], n=2, stream=True
    )
    said: dict[int, list[Any]] = {0: [], 1: []}
    async for chunk in stream:
        said[chunk.choices[0].index].append(chunk.choices[0])
    assert ["".join(each.delta.content or "" for each in said[number]) for number in (0, 1)] == ["One two.", "Three."]
    assert [said[number][0].delta.role for number in (0, 1)] == ["assistant"] * 2
    assert [said[number][-1].finish_reason for number in (0, 1)] == ["stop"] * 2


@pytest.mark.parametrize(
    ("choice", "said", "finish", "expected"),
    [
        ("required", '{"name": "weather", "arguments": {"city": "Faro"}}', "tool_calls", {"city": "Faro"}),
        (
            {"type": "function", "function": {"name": "weather"}},
            '{"name": "weather", "arguments": {}}',
            "tool_calls",
            {},
        ),
        ("required", '{"name": "weather", "argum', "length", None),
    ],
)
async def test_a_call_that_the_client_insists_on(
    served: Serving, engine: ScriptedEngine, choice: Any, said: str, finish: str, expected: Any
) -> None:
    for stream in (False, True):
        engine.says([TextDelta(said), Finished("length" if expected is None else "stop")])
        found = await read(served, ask("Hi", tools=[WEATHER], tool_choice=choice, stream=stream))
        whole = json.loads(found)["choices"][0]["message"] if not stream else _joined(found)
        calls = [json.loads(each["function"]["arguments"]) for each in whole.get("tool_calls", ())]
        assert calls == ([] if expected is None else [expected])
        assert whole["content"] == (said if expected is None else None)
        assert f'"finish_reason":"{finish}"' in found.replace(": ", ":")
    held_to = engine.requests[0].sampling.json_schema
    assert held_to is not None
    assert held_to["properties"]["name"] == {"const": "weather"}


def _joined(stream: str) -> dict[str, Any]:
    """The message that a stream's deltas make."""
    events = [json.loads(line[6:]) for line in stream.split("\n\n") if line and line != "data: [DONE]"]
    deltas = [each["choices"][0]["delta"] for each in events]
    return {
        "content": "".join(each.get("content") or "" for each in deltas) or None,
        "tool_calls": [call for each in deltas for call in each.get("tool_calls", ())],
    }


async def test_tools_that_must_not_be_called_stay_in_the_prompt(served: Serving, engine: ScriptedEngine) -> None:
    await read(served, ask("Hi", tools=[WEATHER], tool_choice="none"))
    assert [each.name for each in engine.requests[0].tools] == ["weather"]
    assert engine.requests[0].template["tool_choice"] == "none"
