"""The question whether a tool may do something."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chatapp.consent import Ask, Decision

from .support import running

DIFF = "--- notes.md\n+++ notes.md\n@@ -1 +1 @@\n-old line\n+new line"


async def test_what_will_happen_is_shown_and_enter_in_passing_allows_nothing(tmp_path: Path) -> None:
    async with running(tmp_path) as chat:
        asking = asyncio.create_task(chat.chat.session.ui.permit(Ask("Write notes.md?", DIFF, "diff", exact="x")))
        await chat.shows("Write notes.md?", "+new line", "Always for exactly this", "No, and say why")
        await chat.press("enter")
        assert await asking == Decision("no")
        asking = asyncio.create_task(chat.chat.session.ui.permit(Ask("Write notes.md?", DIFF, "diff")))
        await chat.shows("Write notes.md?", "Always in this conversation")
        assert "exactly" not in chat.screen_text
        await chat.press("escape")
        assert await asking == Decision("no")


async def test_it_can_be_allowed_once_and_refused_with_a_word(tmp_path: Path) -> None:
    ask = Ask("Run this command?", "echo hi; rm -rf build", "command", ("rm -rf",), exact="c")
    async with running(tmp_path) as chat:
        asking = asyncio.create_task(chat.chat.session.ui.permit(ask))
        await chat.shows("Run this command?", "The marked parts can do harm.")
        assert "Always in this conversation" not in chat.screen_text
        await chat.press("home", "enter")
        assert await asking == Decision("once")
        asking = asyncio.create_task(chat.chat.session.ui.permit(ask))
        await chat.shows("Run this command?")
        await chat.press("end", "enter")
        await chat.shows("Why not?")
        await chat.press(*"later")
        await chat.press("enter")
        assert await asking == Decision("no", "later")
