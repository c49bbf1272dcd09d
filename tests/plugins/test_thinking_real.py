"""Thinking with the real 0.5B model: steps, a marker, a budget, and a prompt that is read once."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import pytest

import chatapp_thinking
from chatapp import Data, Event, Reasoning, Request, Usage
from chatapp_llama.engine import LlamaEngine

from .real import collect, real_session, sampled, usage_of

QUESTION = "A box holds 4 balls. How many balls do 3 boxes hold?"


async def test_the_real_model_thinks_within_a_budget_and_reads_nothing_twice(tmp_path: Path, model_path: Path) -> None:
    async with real_session(tmp_path, model_path) as session:
        session.host.add("thinking", chatapp_thinking)
        sampled(session, max_tokens=200)
        await collect(session.run("/think 24"))
        first = usage_of(await collect(session.send(QUESTION)))
        message = list(session.conversation.path())[-1]
        thought = message.parts[0]
        assert isinstance(thought, Reasoning)
        assert thought.tokens
        assert 8 <= thought.tokens <= 24
        assert message.text.strip()
        assert "Final answer" not in message.text
        await collect(session.run("/think off"))
        second: Usage = usage_of(await collect(session.send("Thank you.")))
        # All up to the first answer is reused: that answer lost its reasoning, so it is read again, and no more.
        assert second.reused_tokens >= first.prompt_tokens - 24


async def test_the_samples_of_a_vote_share_one_evaluated_prompt(
    tmp_path: Path, model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    costs: list[Usage] = []
    ask = LlamaEngine.stream

    async def watched(engine: LlamaEngine, request: Request) -> AsyncGenerator[Event, None]:
        async with aclosing(ask(engine, request)) as events:
            async for event in events:
                costs.extend([event] if isinstance(event, Usage) else [])
                yield event

    monkeypatch.setattr(LlamaEngine, "stream", watched)
    async with real_session(tmp_path, model_path) as session:
        session.host.add("thinking", chatapp_thinking)
        sampled(session, max_tokens=60, temperature=0.7)
        await collect(session.run("/think vote 3"))
        events = await collect(session.send(QUESTION))
    assert len(costs) == 3
    # The last token of the prompt is read again, as its result is what the next one is drawn from.
    assert [each.evaluated_tokens for each in costs] == [costs[0].prompt_tokens, 1, 1]
    votes = next(event for event in events if isinstance(event, Data) and event.name == "thinking.votes")
    assert votes.value["samples"] == 3
    assert 1 <= votes.value["agree"] <= 3
