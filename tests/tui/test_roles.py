"""Roles on the screen: chosen by completion, seen in the status line and in what was sent."""

from __future__ import annotations

from pathlib import Path

import chatapp_roles
from chatapp.testing import ScriptedEngine

from .support import host_in, running


async def test_a_role_is_chosen_and_switched(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    host = host_in(tmp_path, engine)
    host.add("roles", chatapp_roles)
    async with running(tmp_path, host=host, engine=engine, size=(100, 30)) as chat:
        chat.chat.composer.put("/role resear")
        await chat.until(lambda: chat.chat.completer.opened)
        await chat.press("tab", "enter")
        await chat.until(lambda: chat.settled and "Researcher answers from now on." in chat.screen_text)
        await chat.shows("roles Researcher")
        engine.says("Found it.", "Once upon a time.")
        await chat.send("Look it up")
        await chat.send("/role writer")
        await chat.send("Write it down")
        await chat.shows("roles Writer")
        await chat.shows(f"switch {chat.chat.session.status['switch']}")
        assert chat.said[-1] == ("assistant", "Once upon a time.")
        # The switch is a row of its own in what was sent.
        await chat.press("f5")
        await chat.shows("Role: Writer")
        await chat.shows("Role: Researcher")
        await chat.press("f5")
        await chat.send("/role nobody")
        await chat.shows("There is no role 'nobody'")
        await chat.shows("roles Writer")
