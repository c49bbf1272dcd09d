"""The archive: what the rest of the program asks of conversations on disk."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from chatapp.archive import rows
from chatapp.archive.rescue import move_aside
from chatapp.archive.schema import Damaged, connect, explain, mark_suspect
from chatapp.archive.search import Hit, find_hits
from chatapp.conversation import Conversation
from chatapp.errors import ArchiveError
from chatapp.text import one_line


@dataclass(frozen=True, slots=True)
class Summary:
    """One conversation in a list. Times are in seconds since 1970; `messages` counts the whole tree.

    `preview` is the beginning of the first question, already one visible line; `title` is as the user gave it: show it
    through `chatapp.text.one_line`.
    """

    id: str
    title: str
    created: float
    updated: float
    messages: int
    preview: str


_Summaries: TypeAlias = list[Summary]
_Hits: TypeAlias = list[Hit]


class Archive:
    """Conversations in one SQLite file.

    Every method is synchronous, may be called from any thread, and raises ArchiveError in one sentence. Several
    processes may use the file at once: each writes only what it was given, so that neither loses the other's messages;
    of one message or row written by both, the later stays.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the file (0600; its folder, if it is made here, 0700) and bring it up to date."""
        self.path = path
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = connect(path)

    @classmethod
    def open(cls, path: Path) -> tuple[Self, str | None]:
        """The archive at `path` and, if its file was damaged and has been moved aside, the sentence that says so."""
        try:
            return cls(path), None
        except Damaged:
            notice = move_aside(path)
        return cls(path), notice

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        with self._lock:
            if self._db is not None:
                self._db.close()
                self._db = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def save(self, conversation: Conversation) -> None:
        """Write the whole tree in one transaction; messages that only the file has stay."""
        with self._writing() as db:
            rows.put_tree(db, conversation, retitle=True)

    def save_message(self, conversation: Conversation, message_id: str) -> None:
        """Write one message, its place and the conversation's row: as cheap in a long conversation as in a short one.

        A title in the file stays (it may have been renamed meanwhile) unless it is empty. If the messages before it
        are not in the file, the whole tree is written.
        """
        node = conversation.node(message_id)
        place = conversation.siblings(message_id).index(message_id)
        with self._writing() as db:
            if node.parent is not None and not rows.has_message(db, conversation.id, node.parent):
                rows.put_tree(db, conversation, retitle=False)
                return
            rows.put_row(db, conversation, retitle=False)
            rows.put_messages(db, conversation.id, [(node, place)])

    def save_values(self, conversation: Conversation) -> None:
        """Write the title, the values, the pins and what is chosen; no message."""
        with self._writing() as db:
            rows.put_row(db, conversation, retitle=True)

    def load(self, conversation_id: str) -> Conversation:
        """The conversation of that id or unique beginning of an id, deleted or not; ArchiveError if there is none."""
        with self._reading() as db:
            return rows.get_tree(db, _find(db, conversation_id))

    def find(self, conversation_id: str) -> str:
        """The whole id that this unique beginning stands for; one not deleted goes before one that is."""
        with self._reading() as db:
            return _find(db, conversation_id)

    def latest(self) -> str | None:
        """The id of the conversation that was written to last, None if there is none."""
        found = self.list(limit=1)
        return found[0].id if found else None

    def list(self, limit: int | None = None, deleted: bool = False) -> _Summaries:
        """The conversations, newest first: those that are not deleted, or only those that are."""
        with self._reading() as db:
            found = db.execute(
                """SELECT id, title, created, updated,
                          (SELECT count(*) FROM message WHERE conversation = c.id), preview
                   FROM conversation AS c WHERE (deleted IS NOT NULL) = ? ORDER BY updated DESC, key DESC LIMIT ?""",
                (deleted, -1 if limit is None else limit),
            )
            return [Summary(*row) for row in found]

    def search(self, query: str, limit: int = 50) -> _Hits:
        """The messages and titles that hold every term of `query` (the last one may be unfinished), best first.

        Any text will do as a query. Case and accents do not matter; deleted conversations are left out.
        """
        with self._reading() as db:
            return find_hits(db, query, limit)

    def rename(self, conversation_id: str, title: str) -> None:
        """Give the conversation another title."""
        with self._writing() as db:
            name = _find(db, conversation_id)
            db.execute("UPDATE conversation SET title = ? WHERE id = ?", (rows.storable(title), name))
            rows.put_passages(db, [(name, "", rows.storable(title))])

    def delete(self, conversation_id: str) -> None:
        """Hide the conversation from lists and search until `restore` or `purge`."""
        with self._writing() as db:
            name = _find(db, conversation_id)
            db.execute("UPDATE conversation SET deleted = ? WHERE id = ? AND deleted IS NULL", (time.time(), name))

    def restore(self, conversation_id: str) -> None:
        """Undo `delete`."""
        with self._writing() as db:
            name = _find(db, conversation_id)
            db.execute("UPDATE conversation SET deleted = NULL WHERE id = ?", (name,))

    def purge(self, older_than_seconds: float) -> int:
        """Remove for good what was deleted, and last written to, at least so long ago; returns how many."""
        before = time.time() - older_than_seconds
        with self._writing() as db:
            gone = db.execute("DELETE FROM conversation WHERE deleted <= ? AND updated <= ?", (before, before))
            return gone.rowcount

    def _writing(self) -> AbstractContextManager[sqlite3.Connection]:
        # The write lock is taken at once: a transaction that reads first could find the file changed when it writes.
        return self._work("BEGIN IMMEDIATE")

    def _reading(self) -> AbstractContextManager[sqlite3.Connection]:
        return self._work("BEGIN")

    @contextmanager
    def _work(self, begin: str) -> Iterator[sqlite3.Connection]:
        """One transaction, undone if anything fails in it; SQLite's errors come out as sentences."""
        with self._lock:
            if self._db is None:
                raise ArchiveError("The conversations have been closed; open them again to go on.")
            try:
                with _transaction(self._db, begin):
                    yield self._db
            except sqlite3.Error as error:
                meant = explain(error, self.path)
                if isinstance(meant, Damaged):
                    mark_suspect(self.path)
                raise meant from error


@contextmanager
def _transaction(db: sqlite3.Connection, begin: str) -> Iterator[None]:
    db.execute(begin)
    try:
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


def _find(db: sqlite3.Connection, beginning: str) -> str:
    """The whole id; ArchiveError if no conversation, or more than one, begins so."""
    # What SQLite could not even be asked for (bytes that are no text) begins no id either.
    asked = beginning if beginning.isascii() else ""
    found = db.execute(
        "SELECT id, deleted IS NOT NULL FROM conversation WHERE id >= ? AND id < ? ORDER BY id",
        (asked, asked + "\x7f"),
    ).fetchall()
    names = [name for name, deleted in found if not deleted] or [name for name, _ in found]
    if any(name == asked for name, _ in found):
        return asked
    shown = one_line(beginning, 40)
    if not asked or not names:
        raise ArchiveError(f"There is no conversation “{shown}”; list them to see their ids.")
    if len(names) > 1:
        raise ArchiveError(f"“{shown}” begins the ids of {len(names)} conversations; give more of it ({names[0]}, …).")
    return str(names[0])
