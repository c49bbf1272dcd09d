"""Markdown that a model wrote: streamed by deltas, raw HTML shown as text, links never opened unasked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from textual import on
from textual.message import Message
from textual.widgets import Markdown
from textual.widgets.markdown import MarkdownStream

from chatapp.text import visible
from chatapp.tui.widgets.citations import Cited

CITES = "cite:"
"""What the address of a citation begins with."""
_CITATION = re.compile(r"\[(\d{1,3})\](?!\()")


def parser(numbers: Collection[int] = ()) -> MarkdownIt:
    """GitHub's Markdown without HTML: a tag that a model writes is text to be seen, not markup to be swallowed.

    A [1] whose number is among `numbers` is a link to that citation, whatever the text says that [1] links to.
    """
    made = MarkdownIt("gfm-like", {"html": False})
    if numbers:
        made.inline.ruler.before("link", "citation", lambda state, silent: _citation(state, silent, numbers))
    return made


def _citation(state: StateInline, silent: bool, numbers: Collection[int]) -> bool:
    """A rule of the parser. A link cannot hold another: in [see [1]](address) the citation is one, the rest is text."""
    found = _CITATION.match(state.src, state.pos)
    if found is None or int(found[1]) not in numbers:
        return False
    if not silent:
        state.push("link_open", "a", 1).attrs = {"href": f"{CITES}{int(found[1])}"}
        state.push("text", "", 0).content = found[0]
        state.push("link_close", "a", -1)
    state.pos = found.end()
    return True


class AnswerText(Markdown):
    """One text part. `write` adds to it as it streams, `settle` ends that.

    `numbers` are the citations in it that can be opened: a click on [1] asks for it by `Cited`.
    """

    class Followed(Message):
        """A link was clicked; nothing has been opened."""

        def __init__(self, address: str) -> None:
            self.address = address
            super().__init__()

    def __init__(self, text: str = "", numbers: Collection[int] = ()) -> None:
        self._numbers = frozenset(numbers)
        super().__init__(visible(text), parser_factory=lambda: parser(self._numbers), open_links=False)
        self._written = [text] if text else []
        self._stream: MarkdownStream | None = None

    async def write(self, text: str) -> None:
        """Add more; drawn in batches, as fast as the screen allows."""
        if self._stream is None:
            self._stream = Markdown.get_stream(self)
        self._written.append(text)
        await self._stream.write(visible(text))

    async def settle(self, text: str | None = None, numbers: Collection[int] = ()) -> None:
        """No more comes; `text` and its citations are what it should be in the end, where that is known."""
        if self._stream is not None:
            # A task that is cancelled before its first step would take what it was to write with it.
            await asyncio.sleep(0)
            await self._stream.stop()
            self._stream = None
        if text is not None and (visible(text) != self.source or self._numbers != frozenset(numbers)):
            self._written, self._numbers = [text], frozenset(numbers)
            await self.update(visible(text))

    async def on_unmount(self) -> None:
        """A view that is taken away in mid-answer leaves no task behind."""
        if self._stream is not None:
            await self._stream.stop()

    @on(Markdown.LinkClicked)
    def _clicked(self, event: Markdown.LinkClicked) -> None:
        event.stop()
        number = event.href.removeprefix(CITES)
        cited = event.href.startswith(CITES) and number.isdecimal() and int(number) in self._numbers
        self.post_message(Cited(int(number)) if cited else self.Followed(event.href))
