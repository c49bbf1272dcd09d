"""A prompt template in the chat: chosen by completion, its text the user's message; chosen from the palette."""

from __future__ import annotations

from pathlib import Path

import chatapp_prompts
from chatapp.testing import ScriptedEngine

from .support import host_in, running


async def test_a_template_is_sent_as_the_user_s_message(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    host = host_in(tmp_path, engine)
    host.add("prompts", chatapp_prompts)
    async with running(tmp_path, host=host, engine=engine) as chat:
        chat.chat.composer.put("/prompt fix")
        await chat.until(lambda: chat.chat.completer.opened)
        await chat.shows("fix-grammar")
        await chat.press("tab")
        assert chat.chat.composer.text == "/prompt fix-grammar "
        engine.says("He goes.")
        await chat.send("/prompt fix-grammar He go.")
        (question, answer) = chat.said
        assert question[0] == "user"
        assert question[1].endswith("Text:\n\nHe go.")
        assert answer == ("assistant", "He goes.")
        await chat.send("/prompt fix-grammar")
        await chat.shows("needs a value for {input}")
        assert chat.chat.composer.text == "/prompt fix-grammar"
        chat.chat.composer.put("")
        await chat.press("ctrl+p", *"prompt choose", "enter")
        await chat.shows("Which prompt?")
