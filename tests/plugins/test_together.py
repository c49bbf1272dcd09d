"""All techniques at once with the real model: a role, examples and memory on, and each turn reads only what is new."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatapp import Finished

from .real import collect, real_session, sampled, usage_of


async def test_with_a_role_examples_and_memory_each_turn_reads_only_what_is_new(
    tmp_path: Path, model_path: Path
) -> None:
    plugins = {name: pytest.importorskip(f"chatapp_{name}") for name in ("roles", "fewshot", "memory", "thinking")}
    async with real_session(tmp_path, model_path) as session:
        for name, module in plugins.items():
            session.host.add(name, module)
        sampled(session, max_tokens=16)
        for line in ("/role shell", "/shots tickets 5", "/remember I use the fish shell --everywhere", "/think off"):
            await collect(session.run(line))
        held = 0
        for number in range(4):
            if number == 2:
                await collect(session.run("/remember My files are in English --everywhere"))
            events = await collect(session.send(f"A word that begins with {'abcd'[number]}, please."))
            usage = usage_of(events)
            assert usage.reused_tokens == held, f"turn {number + 1}"
            held = usage.prompt_tokens + usage.completion_tokens - (events[-1] == Finished("stop"))
        assert session.turn is not None
        shown = {piece.plugin for piece in session.turn.sent}
        assert shown >= {"chatapp", "roles", "fewshot", "memory"}
