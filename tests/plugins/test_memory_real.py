"""Memory with the real model: the second turn evaluates only what is new, also when something is remembered between."""

from __future__ import annotations

from pathlib import Path

import chatapp_memory
from chatapp import Finished
from tests.plugins.real import collect, real_session, sampled, text_of, usage_of
from tests.support_plugins import run


async def test_each_turn_evaluates_only_what_is_new(tmp_path: Path, model_path: Path) -> None:
    async with real_session(tmp_path, model_path) as session:
        session.host.add("memory", chatapp_memory)
        sampled(session, max_tokens=24)
        await run(session, "/remember The user's name is Zenobia")
        held = 0
        answers = []
        for turn in range(5):
            if turn == 2:
                await run(session, "/remember The user's dog is called Quibble --everywhere")
            question = "What is my dog called?" if turn == 2 else "What is my name?" if turn == 0 else f"Say {turn}."
            events = await collect(session.send(question))
            usage = usage_of(events)
            assert usage.reused_tokens == held
            held = usage.prompt_tokens + usage.completion_tokens - (events[-1] == Finished("stop"))
            answers.append(text_of(events))
        assert "Zenobia" in answers[0]
        assert "Quibble" in answers[2]


async def test_a_style_is_described_by_the_model_and_the_chat_goes_on(tmp_path: Path, model_path: Path) -> None:
    async with real_session(tmp_path, model_path) as session:
        session.host.add("memory", chatapp_memory)
        sampled(session, max_tokens=24)
        path = tmp_path / "note.txt"
        path.write_text("Ahoy, me hearties! The sea be rough today, aye. Hoist the sails and mind the rum! " * 3)
        await run(session, f"/style like {path}")
        words = session.values["memory.style"]["text"].split()
        assert 10 < len(words) <= 80
        assert "Paris" in text_of(await collect(session.send("What is the capital of France?")))
