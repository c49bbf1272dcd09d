"""A remote model on the screen: completed, chosen in mid-conversation, and left again."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatapp.testing import ScriptedEngine
from tests.plugins.openai_support import MODEL, Reply, chunk, host_for, refuses, rough

from .support import running

pytest.importorskip("openai")


async def test_a_conversation_goes_to_a_server_and_back(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    engine.says("I am here.", "Here again.")
    with rough() as server:
        host = host_for(tmp_path, server.url, model="scripted", scripted=engine, models=[MODEL])
        async with running(tmp_path, host=host, engine=engine, size=(100, 30)) as chat:
            await chat.send("Where are you?")
            chat.chat.composer.put("/model gp")
            await chat.until(lambda: chat.chat.completer.opened)
            await chat.shows(f"gpu/{MODEL}")
            await chat.press("tab", "enter")
            await chat.until(lambda: chat.settled and "answers from now on." in chat.screen_text)
            await chat.send("And now?")
            assert chat.said[-1] == ("assistant", "Hello there.")
            server.chat(Reply(events=(chunk(content="Half of it"),), cut=True), refuses(401, "No."))
            await chat.send("More")
            await chat.shows("Half of it", "broke the answer off in the middle")
            await chat.send("Even more")
            await chat.shows("run `chatapp openai key gpu`")
            await chat.send("/model scripted")
            await chat.send("Back?")
            assert chat.said[-1] == ("assistant", "Here again.")
        sent = [each["content"] for each in server.chats[0]["messages"]]
        assert sent[-3:] == ["Where are you?", "I am here.", "And now?"]
