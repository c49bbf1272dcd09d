"""The chat in a real browser: what is typed there is answered, drawn and kept."""

from __future__ import annotations

import io
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import Page, WebSocket, async_playwright

from chatapp.archive import Archive
from tests.plugins.web_support import served, until_gone

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
QUIET = ("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync")

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="Chromium is not installed: apt-get install chromium.")


class Tab:
    """A page in the browser: what it asked for over the network, and the frames that its chat drew."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[str] = []
        self.frames: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("websocket", self._listen)

    def _listen(self, line: WebSocket) -> None:
        line.on("framereceived", self._take)

    def _take(self, frame: str | bytes) -> None:
        self.frames.append(frame if isinstance(frame, str) else frame.decode(errors="replace"))

    async def draws(self, text: str) -> None:
        """Wait until the chat has drawn this; the test's own time limit ends it."""
        while text not in "".join(self.frames):
            await self.page.wait_for_timeout(50)

    async def colours(self) -> int:
        """How many colours the page shows."""
        picture = Image.open(io.BytesIO(await self.page.screenshot())).convert("RGB")
        return len(picture.getcolors(picture.width * picture.height) or ())


@asynccontextmanager
async def browsing() -> AsyncIterator[Tab]:
    """An empty page of a headless Chromium."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET, chromium_sandbox=False)
        try:
            yield Tab(await browser.new_page(viewport={"width": 1000, "height": 600}))
        finally:
            await browser.close()


async def test_a_message_is_typed_answered_and_kept(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        async with browsing() as tab:
            await tab.page.goto(server.address)
            await tab.draws("Ask anything")
            before = len(tab.frames)
            await tab.page.keyboard.type("Bom dia, página")
            await tab.page.keyboard.press("Enter")
            await tab.draws("Assistant")
            assert len(tab.frames) > before + 1
            await tab.page.keyboard.press("F1")
            await tab.draws("Esc closes")
            assert await tab.colours() > 20
            assert tab.page.url == f"{server.origin}/"
            assert all(each.startswith((server.origin, "data:")) for each in tab.asked)
            chats = server.chats()
        await until_gone(chats)
    archive, _ = Archive.open(tmp_path / "data" / "conversations.db")
    try:
        kept = archive.load(archive.latest() or "")
    finally:
        archive.close()
    assert [message.text for message in kept.path()] == ["Bom dia, página", "Bom dia, página"]
