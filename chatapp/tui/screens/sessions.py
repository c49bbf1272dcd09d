"""The conversations: newest first, found by any word said in them; rename, delete with undo, export, import."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from chatapp.archive import Archive
from chatapp.archive.search import MARK_END, MARK_START, Hit
from chatapp.errors import ChatappError
from chatapp.session import Session
from chatapp.text import one_line
from chatapp.tui.keys import hint, key
from chatapp.tui.perform import perform
from chatapp.tui.safe import line, lines, safe

if TYPE_CHECKING:
    from chatapp.tui.app import ChatApp

MOST = 200
"""Conversations listed at most; search looks at all."""


@dataclass(frozen=True, slots=True)
class Row:
    """One conversation in the list; `below` is the small print."""

    id: str
    title: str
    below: Content


class SessionsScreen(Screen[None]):
    """A search line above a list."""

    app: ChatApp
    BINDINGS: ClassVar[list[BindingType]] = [
        key("escape,f2", "close", "close", "Back to the chat.", "sessions.close"),
        key("enter", "open", "open", "Open the conversation.", "sessions.open", priority=True),
        key("up", "move(-1)", "up", "The conversation above.", "sessions.up", priority=True),
        key("down", "move(1)", "down", "The conversation below.", "sessions.down", priority=True),
        key("ctrl+t", "rename", "rename", "Give it another title.", "sessions.rename", priority=True),
        key("ctrl+d", "delete", "delete", "Delete it; undo brings it back.", "sessions.delete", priority=True),
        key("ctrl+z", "undo", "undo", "Bring back what was deleted last.", "sessions.undo", priority=True),
        key("ctrl+s", "export", "export", "Save it as Markdown or JSON.", "sessions.export", priority=True),
        key("ctrl+l", "import", "import", "Take in an exported conversation.", "sessions.import", priority=True),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._rows: Sequence[Row] = ()
        self._deleted: list[str] = []

    def compose(self) -> ComposeResult:
        """Search, list, hints."""
        with Vertical(classes="sheet") as sheet:
            sheet.border_title = "Conversations"
            yield Input(placeholder="Search everything that was said", id="search")
            yield OptionList(id="found", compact=True)
            yield Static(id="nothing")
            yield Static(id="sheet-hint")

    def on_mount(self) -> None:
        """All of them, newest first."""
        self.query_one("#found").can_focus = False
        ids = ("open", "rename", "delete", "undo", "export", "import", "close")
        self.query_one("#sheet-hint", Static).update(safe(hint(self.app, type(self), *(f"sessions.{i}" for i in ids))))
        self.look()

    @on(Input.Changed, "#search")
    def _typed(self) -> None:
        self.look()

    @work(group="look", exclusive=True)
    async def look(self) -> None:
        """List what matches; a newer question replaces one under way."""
        query = self.query_one("#search", Input).value.strip()
        try:
            archive = self._session.host.archive
            self._rows = await asyncio.to_thread(_search if query else _newest, archive, query)
        except ChatappError as error:
            self._session.host.ui.notify(str(error), "error")
            return
        chosen = self.chosen
        options = self.query_one("#found", OptionList)
        options.set_options(Option(lines([line((one_line(row.title, 70), "bold")), row.below])) for row in self._rows)
        options.highlighted = 0 if self._rows else None
        if chosen is not None:
            self._highlight(chosen.id)
        nothing = self.query_one("#nothing", Static)
        nothing.display = not self._rows
        nothing.update(safe(f"Nothing was found for “{query}”." if query else "There are no conversations yet."))

    @property
    def chosen(self) -> Row | None:
        """The highlighted conversation."""
        place = self.query_one("#found", OptionList).highlighted
        return self._rows[place] if place is not None and place < len(self._rows) else None

    def _highlight(self, conversation: str) -> None:
        places = [place for place, row in enumerate(self._rows) if row.id == conversation]
        if places:
            self.query_one("#found", OptionList).highlighted = places[0]

    def action_close(self) -> None:
        """Back to the chat."""
        self.dismiss()

    def action_move(self, by: int) -> None:
        """Highlight another one; the search line keeps the cursor."""
        options = self.query_one("#found", OptionList)
        if self._rows:
            options.highlighted = min(max((options.highlighted or 0) + by, 0), len(self._rows) - 1)

    @on(OptionList.OptionSelected, "#found")
    async def action_open(self) -> None:
        """Open the highlighted one."""
        if self.chosen is not None and await self.app.open_conversation(self.chosen.id):
            self.dismiss()

    @work(group="change")
    async def action_rename(self) -> None:
        """Ask for another title."""
        row = self.chosen
        title = await self._session.ui.prompt("What should it be called?", row.title) if row is not None else None
        if row is not None and title and await self._do(f"/sessions rename {row.id} {title}"):
            self.look()

    @work(group="change")
    async def action_delete(self) -> None:
        """Delete at once: undo brings it back."""
        row = self.chosen
        if row is None:
            return
        if row.id == self._session.conversation.id and not await self.app.open_conversation(None):
            return
        if await self._do(f"/sessions rm {row.id}", quiet=True):
            self._deleted.append(row.id)
            undo = hint(self.app, type(self), "sessions.undo")
            self._session.ui.notify(f"Deleted “{one_line(row.title, 30)}”. {undo} brings it back.")
            self.look()

    @work(group="change")
    async def action_undo(self) -> None:
        """Bring back the last deleted one."""
        if not self._deleted:
            self._session.ui.notify("Nothing was deleted here.")
        elif await self._do(f"/sessions restore {self._deleted[-1]}", quiet=True):
            self._session.ui.notify("It is back.")
            self._deleted.pop()
            self.look()

    @work(group="change")
    async def action_export(self) -> None:
        """Ask for the kind and the file."""
        row = self.chosen
        if row is None:
            return
        kinds = {"Markdown: to read": ".md", "JSON: everything, to import again": ".json"}
        kind = await self._session.ui.choose("Save it as", list(kinds))
        if kind is None:
            return
        default = str(Path.cwd() / f"{_file_name(row.title)}{kinds[kind]}")
        path = await self._session.ui.prompt("Where to?", default)
        if path:
            await self._do(f'/sessions export {row.id} "{Path(path).expanduser()}"')

    @work(group="change")
    async def action_import(self) -> None:
        """Ask for the file."""
        path = await self._session.ui.prompt("Which file? A Markdown or JSON export")
        if path and await self._do(f'/sessions import "{Path(path).expanduser()}"'):
            self.look()

    async def _do(self, line: str, *, quiet: bool = False) -> bool:
        return await perform(self._session, line, quiet=quiet)


def _newest(archive: Archive, _query: str) -> list[Row]:
    return [
        Row(
            each.id,
            each.title or each.preview or "(empty)",
            line((f"{_when(each.updated)} · {each.messages} messages", "dim")),
        )
        for each in archive.list(limit=MOST)
    ]


def _search(archive: Archive, query: str) -> list[Row]:
    """The best hit of each conversation, with the words found in it marked."""
    best: dict[str, Hit] = {}
    for hit in archive.search(query, MOST):
        best.setdefault(hit.conversation, hit)
    return [Row(hit.conversation, hit.title or "(untitled)", _marked(hit.snippet)) for hit in best.values()]


def _marked(snippet: str) -> Content:
    pieces: list[str | tuple[str, str]] = []
    for chunk in snippet.split(MARK_START):
        found, end, rest = chunk.partition(MARK_END)
        pieces += [(found, "bold $warning"), (rest, "dim")] if end else [(chunk, "dim")]
    return line(*pieces)


def _when(seconds: float) -> str:
    then, now = time.localtime(seconds), time.localtime()
    if then[:3] == now[:3]:
        return time.strftime("today %H:%M", then)
    return time.strftime("%d %b %H:%M" if then.tm_year == now.tm_year else "%d %b %Y", then)


def _file_name(title: str) -> str:
    kept = "".join(letter if letter.isalnum() else "-" for letter in one_line(title, 40).lower())
    return "-".join(filter(None, kept.split("-"))) or "conversation"
