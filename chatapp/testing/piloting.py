"""The real terminal chat without a terminal: keys in, letters on a screen out. Textual is imported when it is used."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chatapp.host import Host
from chatapp.session import Session
from chatapp.testing.making import Maker
from chatapp.testing.recording import RecordingUI
from chatapp.testing.scripted import ScriptedEngine

if TYPE_CHECKING:
    import textual.pilot
    from textual.widget import Widget

    from chatapp.tui.app import ChatApp
    from chatapp.tui.screens.chat import ChatScreen

PATIENCE = 30.0
"""Seconds after which what was waited for will not come any more."""


@dataclass(slots=True)
class Chat:
    """A running chat: what it is made of and how it is steered."""

    app: ChatApp
    pilot: textual.pilot.Pilot[Any]
    engine: ScriptedEngine

    @property
    def chat(self) -> ChatScreen:
        """The chat screen."""
        return self.app.chat

    @property
    def session(self) -> Session:
        """Its session."""
        return self.app.session

    @property
    def text(self) -> str:
        """The letters on the screen, line by line."""
        width, height = self.app.size
        strips = self.app.screen._compositor.render_strips()
        return "\n".join("".join(segment.text for segment in strip) for strip in strips)[: (width + 1) * height]

    @property
    def said(self) -> list[tuple[str, str]]:
        """(role, text) of the messages on the screen."""
        return [(view.role, view.text) for view in self.chat.transcript.views]

    @property
    def notices(self) -> list[str]:
        """What was said in toasts."""
        return [notice.message for notice in self.app._notifications]

    @property
    def settled(self) -> bool:
        """Whether nothing goes on and nothing waits."""
        runner = self.chat.runner
        return not (runner.busy or runner.queue or runner.beside or runner.stale)

    async def press(self, *keys: str) -> None:
        """Press keys one after another, by Textual's names: "enter", "ctrl+p", "a"."""
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def tap(self, *keys: str) -> None:
        """Press control keys without waiting until the screen is still, as while an answer streams it never is."""
        for key in keys:
            self.app.simulate_key(key)
            await asyncio.sleep(0.02)

    async def type(self, text: str) -> None:
        """Put a text into the input and press Enter, without waiting for what it does."""
        self.chat.composer.put(text)
        await self.press("escape") if self.chat.completer.opened else None
        self.chat.composer.submit()
        await self.handled(self.chat.composer)

    async def send(self, text: str) -> None:
        """Type a text and press Enter; wait until nothing goes on."""
        await self.type(text)
        await self.until(lambda: self.settled)
        await self.pilot.pause()

    async def handled(self, widget: Widget) -> None:
        """Wait until the widget and the screen have handled the messages they have now."""
        done = asyncio.Event()
        widget.call_later(lambda: self.chat.call_later(done.set))
        async with asyncio.timeout(PATIENCE):
            await done.wait()

    async def until(self, true: Callable[[], Any]) -> None:
        """Wait until something holds; fail, with the screen, when it does not come true."""
        await self._until(lambda: [] if true() else [true], "What was waited for did not come true")

    async def shows(self, *texts: str) -> None:
        """Wait until all these texts are on the screen; fail, with the screen, when they do not come.

        What a key changes is laid out and painted some moments after the key was handled, later on a busy machine.
        """
        await self._until(lambda: [text for text in texts if text not in self.text], "The screen never showed")

    async def hides(self, *texts: str) -> None:
        """Wait until none of these texts is on the screen; fail, with the screen, when they stay."""
        await self._until(lambda: [text for text in texts if text in self.text], "The screen went on showing")

    async def _until(self, wrong: Callable[[], list[Any]], complaint: str) -> None:
        __tracebackhide__ = True
        begun = time.monotonic()
        while found := wrong():
            if self.app._exception is not None:
                raise self.app._exception
            if time.monotonic() - begun > PATIENCE:
                what = "" if callable(found[0]) else f" {found}"
                pytest.fail(f"{complaint}{what}:\n{self.text}")
            await asyncio.sleep(0.02)

    def screenshot(self, path: Path | str) -> Path:
        """Write the screen as an SVG picture and return its path."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.app.export_screenshot(), encoding="utf-8")
        return path


@dataclass(slots=True)
class Pilot:
    """Opens chats: ``chat = await pilot()`` with the plugins under test, ``await pilot(my_plugin)`` with these."""

    maker: Maker
    _open: list[tuple[asyncio.Event, asyncio.Task[None]]] = field(default_factory=list)

    async def __call__(self, *plugins: Any, size: tuple[int, int] = (80, 24), **settings: Any) -> Chat:
        """Open the chat on a screen of `size` columns and rows; `settings` are values of the settings file.

        It is closed at the end of the test; what went wrong in it until then fails the test.
        """
        from chatapp.tui.app import ChatApp

        host = self.maker.host(RecordingUI(), own=True, plugins=plugins, **settings)
        app = ChatApp(host)
        opened: asyncio.Future[textual.pilot.Pilot[Any]] = asyncio.get_running_loop().create_future()
        over = asyncio.Event()
        task = asyncio.create_task(_live(app, host, size, opened, over))
        self._open.append((over, task))
        both: list[asyncio.Future[Any]] = [opened, task]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not opened.done():
            await task
        chat = Chat(app, opened.result(), self.maker.engine)
        await chat.until(app.chat.started.is_set)
        return chat

    async def close(self) -> None:
        """Close every chat that is open, as if its user had left: another one may be opened on the same files."""
        for over, _ in self._open:
            over.set()
        tasks = [task for _, task in self._open]
        self._open.clear()
        if tasks:
            await asyncio.wait(tasks)
        for task in tasks:
            await task


async def _live(
    app: ChatApp,
    host: Host,
    size: tuple[int, int],
    opened: asyncio.Future[textual.pilot.Pilot[Any]],
    over: asyncio.Event,
) -> None:
    """Run the chat in a task of its own: what Textual sets up in a context must be taken down in the same one."""
    try:
        async with app.run_test(size=size, notifications=True) as pilot:
            opened.set_result(pilot)
            await over.wait()
    finally:
        await host.shutdown()
