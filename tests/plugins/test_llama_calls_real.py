"""Calls of tools by the real model: a call that parses, an answer in words, and a round that is not read twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio

from chatapp import Engine, Finished, Message, Notice, Request, Sampling, Text, Tool, ToolCall, ToolResult, user
from chatapp.tooling import REPEATED
from tests.plugins.real import collect, real_session, text_of, usage_of

from .calling import WEATHER

pytestmark = pytest.mark.asyncio(loop_scope="module")
AREA = Tool(
    "geometry.triangle_area",
    "Calculate the area of a triangle from its base and height.",
    {
        "type": "dict",
        "properties": {
            "base": {"type": "integer", "description": "The base."},
            "height": {"type": "float", "description": "The height."},
            "unit": {"type": "string", "enum": ["cm", "m"], "description": "The unit."},
        },
        "required": ["base", "height", "unit"],
    },
)
ASKED = user("What is the area of a triangle with a base of 10 cm and a height of 7 cm?")
GREEDY = Sampling(temperature=0.0, repeat_penalty=1.0, max_tokens=80)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory, model_path: Any) -> AsyncIterator[Engine]:
    """The real model, open."""
    async with real_session(tmp_path_factory.mktemp("calls"), model_path) as session:
        await collect(session.warm())
        found = session.host.engines.current()
        assert found is not None
        yield found


async def test_a_round_of_tools_is_read_once(engine: Engine) -> None:
    request = Request((ASKED,), GREEDY, (AREA, WEATHER))
    events = await collect(engine.stream(request))
    (call,) = [event for event in events if isinstance(event, ToolCall)]
    assert (call.name, call.arguments) == (AREA.name, {"base": 10, "height": 7, "unit": "cm"})
    assert text_of(events) == ""
    assert events[-1] == Finished("tool_calls")
    first = usage_of(events)
    answer = Message("assistant", (call,))
    result = Message("tool", (ToolResult(call.id, call.name, "35 square centimetres"),))
    events = await collect(engine.stream(replace(request, messages=(ASKED, answer, result))))
    # The token that ended the answer was drawn and not read; every other one is in the context.
    assert usage_of(events).reused_tokens == first.prompt_tokens + first.completion_tokens - 1


async def test_a_model_that_asks_twice_for_what_it_has_comes_to_an_answer(engine: Engine) -> None:
    call = ToolCall("a23456789", AREA.name, {"base": 10, "height": 7, "unit": "cm"})
    result = Message("tool", (ToolResult(call.id, call.name, "35 square centimetres"),))
    again = Message("tool", (ToolResult(call.id, call.name, REPEATED),))
    answer = Message("assistant", (call,))
    events = await collect(engine.stream(Request((ASKED, answer, result, answer, again), GREEDY, (AREA,))))
    assert not [event for event in events if isinstance(event, ToolCall)]
    assert text_of(events).strip()


async def test_an_answer_in_words_is_free(engine: Engine) -> None:
    events = await collect(engine.stream(Request((user("Say hello."),), GREEDY, (AREA, WEATHER))))
    assert "hello" in text_of(events).lower()
    assert not [event for event in events if isinstance(event, ToolCall)]
    assert events[-1] == Finished("stop")


async def test_a_call_that_is_cut_is_told(engine: Engine) -> None:
    short = replace(GREEDY, max_tokens=24)
    events = await collect(engine.stream(Request((ASKED,), short, (AREA,))))
    assert not [event for event in events if isinstance(event, ToolCall)]
    assert text_of(events) == ""
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert "left out" in notice.text
    assert events[-1] == Finished("length")


async def test_where_no_call_is_allowed_the_model_answers(engine: Engine) -> None:
    request = Request((ASKED,), GREEDY, (AREA, WEATHER), template={"tool_choice": "none"})
    events = await collect(engine.stream(request))
    assert not [event for event in events if isinstance(event, ToolCall)]
    assert text_of(events).strip()
    assert "<tool_call>" not in text_of(events)


async def test_text_before_a_call_is_read_once_too(engine: Engine) -> None:
    begun = Message("assistant", (Text("I will call the function geometry.triangle_area:"),))
    request = Request((ASKED, begun), GREEDY, (AREA,), continue_last=True)
    events = await collect(engine.stream(request))
    calls = [event for event in events if isinstance(event, ToolCall)]
    said = begun.text + text_of(events)
    first = usage_of(events)
    message = Message("assistant", (Text(said), *calls))
    later = Request((ASKED, message, user("Thanks.")), replace(GREEDY, max_tokens=1), (AREA,))
    events = await collect(engine.stream(later))
    assert calls
    assert usage_of(events).reused_tokens >= first.prompt_tokens + first.completion_tokens - 1
