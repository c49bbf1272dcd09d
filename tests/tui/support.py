"""What the tests of the terminal chat share: an app on a scripted engine, and waiting for what must come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widget import Widget

from chatapp import commands
from chatapp.conversation import Conversation
from chatapp.host import Host
from chatapp.testing import RecordingUI, ScriptedEngine, make_host
from chatapp.tui.app import ChatApp
from chatapp.tui.screens.chat import ChatScreen

SMALL = (80, 24)
PATIENCE = 30.0


@dataclass(slots=True)
class Running:
    """A running chat: what it is made of and how it is steered."""

    app: ChatApp
    pilot: Pilot[Any]
    engine: ScriptedEngine

    @property
    def chat(self) -> ChatScreen:
        """The chat screen."""
        return self.app.chat

    async def press(self, *keys: str) -> None:
        """Press keys one after another."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def tap(self, *keys: str) -> None:
        """Press control keys without waiting until the screen is still, as while an answer streams it never is."""
        for key in keys:
            self.app.simulate_key(key)
            await asyncio.sleep(0.02)

    async def send(self, text: str) -> None:
        """Type a text and press Enter; wait until nothing goes on."""
        self.chat.composer.put(text)
        await self.press("escape") if self.chat.completer.opened else None
        self.chat.composer.submit()
        await self.handled(self.chat.composer)
        await self.until(lambda: self.settled)
        await self.pilot.pause()

    async def handled(self, widget: Widget) -> None:
        """Wait until the widget and the screen have handled the messages they have now."""
        done = asyncio.Event()
        widget.call_later(lambda: self.chat.call_later(done.set))
        async with asyncio.timeout(PATIENCE):
            await done.wait()

    @property
    def settled(self) -> bool:
        """Whether nothing goes on and nothing waits."""
        runner = self.chat.runner
        return not (runner.busy or runner.queue or runner.beside or runner.stale)

    async def until(self, true: Callable[[], Any]) -> None:
        """Wait until something holds; fail when it does not come true."""
        async with asyncio.timeout(PATIENCE):
            while not true():  # noqa: ASYNC110 (what is waited for is on the screen, which sets no event)
                await asyncio.sleep(0.02)

    async def shows(self, *texts: str) -> None:
        """Wait until all these texts are on the screen; fail, with the screen, when they do not come.

        What a key changes is laid out and painted some moments after the key was handled, later on a busy machine.
        """
        await self._until_screen(lambda screen: [text for text in texts if text not in screen], "never showed")

    async def hides(self, *texts: str) -> None:
        """Wait until none of these texts is on the screen; fail, with the screen, when they stay."""
        await self._until_screen(lambda screen: [text for text in texts if text in screen], "went on showing")

    async def _until_screen(self, wrong: Callable[[str], list[str]], complaint: str) -> None:
        begun = time.monotonic()
        while found := wrong(self.screen_text):
            if time.monotonic() - begun > PATIENCE:
                pytest.fail(f"The screen {complaint} {found}:\n{self.screen_text}")
            await asyncio.sleep(0.02)

    @property
    def said(self) -> list[tuple[str, str]]:
        """(role, text) of the messages on the screen."""
        return [(view.role, view.text) for view in self.chat.transcript.views]

    @property
    def notices(self) -> list[str]:
        """What was said in toasts."""
        return [notice.message for notice in self.app._notifications]

    @property
    def screen_text(self) -> str:
        """The letters on the screen, line by line."""
        return screen_text(self.app)


def screen_text(app: ChatApp) -> str:
    """The letters on the screen, line by line."""
    width, height = app.size
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)[: (width + 1) * height]


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
