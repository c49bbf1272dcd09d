"""Markdown that a model wrote: streamed by deltas, raw HTML shown as text, links never opened unasked."""

from __future__ import annotations

import asyncio

from markdown_it import MarkdownIt
from textual import on
from textual.message import Message
from textual.widgets import Markdown
from textual.widgets.markdown import MarkdownStream

from chatapp.text import visible


def parser() -> MarkdownIt:
    """GitHub's Markdown without HTML: a tag that a model writes is text to be seen, not markup to be swallowed."""
    return MarkdownIt("gfm-like", {"html": False})


class AnswerText(Markdown):
    """One text part. `write` adds to it as it streams, `settle` ends that."""

    class Followed(Message):
        """A link was clicked; nothing has been opened."""

        def __init__(self, address: str) -> None:
            self.address = address
            super().__init__()

    def __init__(self, text: str = "") -> None:
        super().__init__(visible(text), parser_factory=parser, open_links=False)
        self._written = [text] if text else []
        self._stream: MarkdownStream | None = None

    async def write(self, text: str) -> None:
        """Add more; drawn in batches, as fast as the screen allows."""
        if self._stream is None:
            self._stream = Markdown.get_stream(self)
        self._written.append(text)
        await self._stream.write(visible(text))

    async def settle(self, text: str | None = None) -> None:
        """No more comes; `text` is what it should be in the end, where that is known."""
        if self._stream is not None:
            # A task that is cancelled before its first step would take what it was to write with it.
            await asyncio.sleep(0)
            await self._stream.stop()
            self._stream = None
        if text is not None and visible(text) != self.source:
            self._written = [text]
            await self.update(visible(text))

    async def on_unmount(self) -> None:
        """A view that is taken away in mid-answer leaves no task behind."""
        if self._stream is not None:
            await self._stream.stop()

    @on(Markdown.LinkClicked)
    def _clicked(self, event: Markdown.LinkClicked) -> None:
        event.stop()
        self.post_message(self.Followed(event.href))
