"""What the tests of the terminal chat share: an app on a scripted engine, and waiting for what must come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from chatapp import commands
from chatapp.conversation import Conversation
from chatapp.host import Host
from chatapp.testing import Chat, RecordingUI, ScriptedEngine, make_host
from chatapp.testing.piloting import PATIENCE as PATIENCE
from chatapp.tui.app import ChatApp

SMALL = (80, 24)


class Running(Chat):
    """A running chat: what it is made of and how it is steered."""

    @property
    def screen_text(self) -> str:
        """The letters on the screen, line by line."""
        return self.text


def host_in(folder: Path, engine: ScriptedEngine, **settings: Any) -> Host:
    """A host with our own commands and the scripted engine."""
    host = make_host(folder, RecordingUI(), engine, **settings)
    host.add("chatapp", commands)
    return host


@asynccontextmanager
async def running(
    folder: Path,
    *,
    host: Host | None = None,
    engine: ScriptedEngine | None = None,
    conversation: Conversation | None = None,
    size: tuple[int, int] = SMALL,
    **settings: Any,
) -> AsyncIterator[Running]:
    """A chat that has started; it is shut down at the end."""
    engine = engine or ScriptedEngine()
    host = host or host_in(folder, engine, **settings)
    app = ChatApp(host, conversation)
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            chat = Running(app, pilot, engine)
            await chat.until(app.chat.started.is_set)
            yield chat
    finally:
        await host.shutdown()
