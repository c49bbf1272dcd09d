"""Remembering in the terminal chat: a dialog asks where it holds, the list is a table, the status line shows it."""

from __future__ import annotations

from pathlib import Path

import chatapp_memory
from chatapp.testing import ScriptedEngine, sent_texts

from .support import host_in, running


async def test_remember_asks_lists_and_shows(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    host = host_in(tmp_path, engine)
    host.add("memory", chatapp_memory)
    async with running(tmp_path, host=host, engine=engine, size=(100, 40)) as chat:
        await chat.send("Hello")
        chat.chat.composer.put("/remember I like tea")
        chat.chat.composer.submit()
        await chat.shows("this conversation")
        await chat.press("down", "enter")
        await chat.until(lambda: chat.settled)
        assert "I like tea" in (tmp_path / "config" / "memory.md").read_text()
        await chat.send("What do I like?")
        assert "- I like tea" in sent_texts(engine.requests[-1].messages)[-1][1]
        await chat.shows("memory 1")
        await chat.send("/memory")
        await chat.shows("all conversations")
        await chat.send("/memory forget 1")
        await chat.shows("/memory restore brings it back")
        await chat.send("/style edit Dry and short.")
        await chat.send("Again")
        assert "Dry and short." in sent_texts(engine.requests[-1].messages)[0][1]
        assert "I like tea" not in str(sent_texts(engine.requests[-1].messages))
        await chat.shows("style your description")
