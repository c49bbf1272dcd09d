"""Thinking in the terminal chat: folded with its figures, ended by a command while it streams."""

from __future__ import annotations

import re
from pathlib import Path

import chatapp_thinking
from chatapp.testing import ScriptedEngine
from chatapp.tui.widgets.thought import Thought

from .support import host_in, running

STEPS = " ".join(f"step{number}" for number in range(400))


async def test_reasoning_is_folded_with_its_figures_and_ended_by_a_command(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    host = host_in(tmp_path, engine)
    host.add("thinking", chatapp_thinking)
    async with running(tmp_path, host=host, engine=engine) as chat:
        engine.says("1. 3 * 4 = 12.\nFinal answer: 12", "It is 12, without steps.", STEPS, "12 in the end")
        await chat.send("/think on")
        await chat.shows("think")
        await chat.send("How many balls?")
        assert chat.said[-1] == ("assistant", "12")
        assert re.fullmatch(r"Thought for \d+\.\d s, \d tokens", chat.chat.query_one(Thought).heading)
        await chat.hides("3 * 4")
        # Without a marker the whole is the answer, and no thought is left beside it.
        await chat.send("And now?")
        assert chat.said[-1] == ("assistant", "It is 12, without steps.")
        assert len(chat.chat.query(Thought)) == 1
        engine.delay = 0.02
        chat.chat.composer.put("Once more?")
        await chat.tap("enter")
        await chat.until(
            lambda: "tokens" in list(chat.chat.query(Thought))[-1].heading and len(chat.chat.query(Thought)) == 2
        )
        chat.chat.composer.put("/think enough")
        chat.chat.composer.submit()
        await chat.until(lambda: chat.settled and chat.said[-1] == ("assistant", "12 in the end"))
        assert len(engine.requests) == 4
        assert engine.stopped == 1
