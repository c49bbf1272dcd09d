"""Thinking with the real 0.5B model: steps, a marker, a budget, and a prompt that is read once."""

from __future__ import annotations

from pathlib import Path

import chatapp_thinking
from chatapp import Reasoning, Usage

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
