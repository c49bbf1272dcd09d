"""What stands in for a person while another program calls: nobody answers, and progress goes to the caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Literal

from chatapp import UI, Ask, Decision, Part, Progress

PAUSE = 0.1
"""Seconds between two messages of progress."""


class ServedUI:
    """A UI that refuses every question; notices go to `behind`, which is standard error."""

    def __init__(self, behind: UI) -> None:
        self._behind = behind
        self.latest: Progress | None = None
        self.news = asyncio.Event()

    def notify(self, text: str, level: Literal["information", "warning", "error"] = "information") -> None:
        """Written to standard error, which the calling program may show or keep."""
        self._behind.notify(text, level)

    async def confirm(self, question: str, detail: str = "") -> bool:
        """No."""
        return False

    async def choose(self, question: str, options: Sequence[str]) -> str | None:
        """Nothing."""
        return None

    async def prompt(self, question: str, default: str = "") -> str | None:
        """Nothing."""
        return None

    async def permit(self, ask: Ask) -> Decision:
        """No: whoever calls over MCP is no person."""
        return Decision("no", "there is nobody to ask.")

    def progress(self, progress: Progress) -> None:
        """Keep the newest, to be told to the caller."""
        self.latest = progress
        self.news.set()

    def show(self, part: Part) -> None:
        """Nowhere: standard output belongs to the protocol."""


@asynccontextmanager
async def telling(ui: ServedUI, session: Any) -> AsyncIterator[None]:
    """While inside, tell the caller how far the work is; a no-op for callers that did not ask for it."""

    async def tell() -> None:
        base, before = 0.0, Progress("")
        while True:
            await ui.news.wait()
            ui.news.clear()
            now = ui.latest or before
            if now.label != before.label or now.done < before.done:
                # What is told must never go back, though the next piece of work begins at nothing.
                base += before.done + 1
            before = now
            await session.report_progress(base + now.done, base + now.total if now.total else None, now.label)
            await asyncio.sleep(PAUSE)

    task = asyncio.create_task(tell())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
