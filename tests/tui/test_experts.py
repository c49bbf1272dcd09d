"""Experts in the terminal chat: switched on, and the line below the answer that one gave."""

from __future__ import annotations

from pathlib import Path

from textual.widgets import Static

import chatapp_experts
from chatapp.testing import ScriptedEngine
from tests.plugins.experts_support import COOK, FILES, NEITHER, Lora, put_expert
from tests.plugins.rag_support import Bags

from .support import host_in, running


async def test_who_answered_stands_below(tmp_path: Path) -> None:
    put_expert(tmp_path, "cook", FILES["cook"])
    engine = ScriptedEngine()
    host = host_in(tmp_path, engine)
    for name, module in {"bags": Bags(), "experts": chatapp_experts, "lora": Lora()}.items():
        host.add(name, module)
    async with running(tmp_path, host=host, engine=engine, size=(100, 30)) as chat:
        chat.chat.composer.put("/experts o")
        await chat.until(lambda: chat.chat.completer.opened)
        await chat.send("/experts on")
        await chat.shows("The best expert answers each message", "experts on")
        engine.says("Bake it.", "I cannot say.")
        await chat.send(COOK)
        await chat.shows("Bake it.", "Expert: cook", "experts cook")
        assert [each.name for each in engine.configs[-1].adapters] == ["cook"]
        await chat.send(NEITHER)
        await chat.shows("I cannot say.", "experts none")
        below = [view for view in chat.chat.transcript.views if view.role == "assistant"]
        assert [bool([w for w in view.query(Static) if str(w.content) == "Expert: cook"]) for view in below] == [
            True,
            False,
        ]
        await chat.send("/experts why")
        await chat.shows("None answered.")
