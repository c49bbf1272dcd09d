"""Examples in the terminal chat: switched on by a command, seen in the status line and in what was sent."""

from __future__ import annotations

from pathlib import Path

import chatapp_fewshot
from chatapp.testing import ScriptedEngine, sent_texts
from chatapp.tui.widgets.sent import SentPanel
from tests.plugins.support_fewshot import FEW, put_set

from .support import host_in, running


async def test_examples_are_switched_on_shown_and_added_to(tmp_path: Path) -> None:
    put_set(tmp_path, "few", FEW, "Name the queue.")
    engine = ScriptedEngine()
    host = host_in(tmp_path, engine)
    host.add("fewshot", chatapp_fewshot)
    async with running(tmp_path, host=host, engine=engine, size=(110, 30)) as chat:
        await chat.send("/shots")
        await chat.shows("Messages to an outdoor shop")
        await chat.send("/shots few 3")
        await chat.shows("fewshot few 3")
        engine.says("K9")
        await chat.send("Where is my parcel?")
        assert sent_texts(engine.requests[-1].messages)[1:3] == [("user", FEW[0][0]), ("assistant", FEW[0][1])]
        await chat.press("f5")
        pieces = chat.app.screen.query_one(SentPanel).pieces
        assert [piece.title for piece in pieces if piece.plugin == "fewshot"] == [
            "Instruction: few",
            "Examples: few (3 of 5)",
        ]
        await chat.shows("Examples: few (3 of 5)")
        await chat.send("/shots add")
        await chat.shows("Example 6 of 'few'")
        await chat.send("/shots off")
        await chat.hides("fewshot few 3")
        await chat.send("/shots few most")
        await chat.shows("chooses")
