"""`chatapp serve` with the real model, through OpenAI's own client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

import chatapp_serve
from chatapp import Host
from tests.plugins.serve_support import Serving, serving
from tests.plugins.test_serve import WEATHER

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def served(real_host: Host) -> AsyncIterator[Serving]:
    """The real model, served."""
    real_host.add("serve", chatapp_serve)
    async with serving(real_host) as made:
        yield made


async def _said(served: Serving, messages: list[Any], **more: Any) -> Any:
    made: Any = await served.client.chat.completions.create(
        **{"model": "", "messages": messages, "temperature": 0, "max_tokens": 16, **more}
    )
    return made


async def test_two_conversations_in_turns_keep_what_was_read(served: Serving) -> None:
    talks: list[list[Any]] = [
        [{"role": "user", "content": "The ships left the harbour at dawn. " * 20}],
        [{"role": "user", "content": "Nobody knew who had painted the wall. " * 20}],
    ]
    held = [0, 0]
    for number in range(3):
        for which, talk in enumerate(talks):
            made = await _said(served, talk)
            cached = made.usage.prompt_tokens_details.cached_tokens
            assert cached >= held[which]
            # The end of a turn is read with the next one.
            held[which] = made.usage.total_tokens - 1
            talk += [made.choices[0].message.model_dump(exclude_none=True, exclude={"refusal"})]
            talk += [{"role": "user", "content": f"Say {number} in words."}]
    assert min(held) > 200


async def test_an_answer_that_fits_a_schema(served: Serving) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 30}, "people": {"type": "integer"}},
        "required": ["city", "people"],
        "additionalProperties": False,
    }
    made = await _said(
        served,
        [{"role": "user", "content": "Invent a city. Answer in JSON."}],
        max_tokens=60,
        response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": schema}},
    )
    found = json.loads(made.choices[0].message.content)
    assert sorted(found) == ["city", "people"]
    assert isinstance(found["people"], int)


async def test_a_call_of_the_clients_tool_and_the_answer_to_its_result(served: Serving) -> None:
    talk: list[Any] = [{"role": "user", "content": "What is the weather in Lisboa? Use the tool."}]
    made = await _said(served, talk, tools=[WEATHER], max_tokens=60)
    (call,) = made.choices[0].message.tool_calls
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Lisboa"})
    talk += [made.choices[0].message.model_dump(exclude_none=True)]
    talk += [{"role": "tool", "tool_call_id": call.id, "content": "Sunny, 24 degrees."}]
    words = await _said(served, talk, tools=[WEATHER], tool_choice="none", max_tokens=8)
    assert words.choices[0].message.content
    assert words.choices[0].message.tool_calls is None
    # What was read of the call and its answer is not read again.
    assert words.usage.prompt_tokens_details.cached_tokens >= made.usage.total_tokens - 1


@pytest.mark.parametrize("stream", [True, False])
async def test_a_call_that_the_client_insists_on(served: Serving, stream: bool) -> None:
    talk = [{"role": "user", "content": "Hello, who are you?"}]
    made = await _said(served, talk, tools=[WEATHER], tool_choice="required", max_tokens=40, stream=stream)
    if stream:
        deltas = [chunk.choices[0].delta async for chunk in made]
        (call,) = [call for delta in deltas for call in delta.tool_calls or ()]
    else:
        (call,) = made.choices[0].message.tool_calls
    assert call.function.name == "weather"
    assert isinstance(json.loads(call.function.arguments), dict)


async def test_a_streamed_conversation_of_several_turns(served: Serving) -> None:
    talk: list[Any] = [{"role": "user", "content": "My name is Ines. Greet me."}]
    read = []
    for question in ("What is my name?", "Say it once more."):
        stream = await _said(served, talk, stream=True, stream_options={"include_usage": True})
        chunks = [chunk async for chunk in stream]
        said = "".join(each.choices[0].delta.content or "" for each in chunks if each.choices)
        read.append(chunks[-1].usage.prompt_tokens - chunks[-1].usage.prompt_tokens_details.cached_tokens)
        talk += [{"role": "assistant", "content": said}, {"role": "user", "content": question}]
    assert "Ines" in said
    assert read[1] < 20


async def test_many_at_once_get_each_their_own_answer(served: Serving) -> None:
    async def client(number: int) -> str:
        schema = {"type": "string", "const": f"number {number}"}
        form = {"type": "json_schema", "json_schema": {"name": "one", "schema": schema}}
        talk = [{"role": "user", "content": f"Say number {number}."}]
        made = await _said(served, talk, response_format=form, user=f"client {number % 3}")
        return str(json.loads(made.choices[0].message.content))

    said = await asyncio.gather(*(client(number) for number in range(12)))
    assert said == [f"number {number}" for number in range(12)]


async def test_half_an_answer_is_stopped_in_the_engine(served: Serving) -> None:
    talk = [{"role": "user", "content": "Count from one to a thousand in words."}]
    stream = await _said(served, talk, stream=True, max_tokens=2000)
    async for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    await stream.close()
    # Were it not stopped, this would wait for two thousand tokens.
    again = await _said(served, talk, max_tokens=1)
    assert again.usage.completion_tokens == 1


async def test_probabilities_and_a_seed(served: Serving) -> None:
    talk = [{"role": "user", "content": "Name a ship."}]
    first, again = [
        await _said(served, talk, temperature=1.2, seed=5, max_tokens=6, logprobs=True, top_logprobs=2)
        for _ in range(2)
    ]
    assert first.choices[0].message.content == again.choices[0].message.content
    content = first.choices[0].logprobs.content
    assert "".join(each.token for each in content) == first.choices[0].message.content
    assert all(each.logprob <= 0 and len(each.top_logprobs) == 2 for each in content)
