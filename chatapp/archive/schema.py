"""The tables, how an older file is brought up to date, and how a connection to one is made.

A message's row holds its place in the tree and, as JSON, what it says; a conversation's row holds its title, its
values and what is chosen and pinned. A growing answer therefore rewrites two rows, whatever the tree's size.
`passage` is the searchable text of each message (and, for message '', of the title); triggers keep the index on it.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import time
from contextlib import suppress
from pathlib import Path

from chatapp.errors import ArchiveError
from chatapp.text import visible

BUSY_SECONDS = 5.0
"""How long a writer waits for another process's transaction."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE conversation (
            key INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            title TEXT NOT NULL,
            preview TEXT NOT NULL,
            created REAL NOT NULL,
            updated REAL NOT NULL,
            deleted REAL,
            vals TEXT NOT NULL,
            shown TEXT NOT NULL
        )""",
        "CREATE INDEX conversation_updated ON conversation (updated)",
        """CREATE TABLE message (
            key INTEGER PRIMARY KEY,
            conversation TEXT NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
            id TEXT NOT NULL,
            parent TEXT,
            place INTEGER NOT NULL,
            body TEXT NOT NULL,
            UNIQUE (conversation, id),
            FOREIGN KEY (conversation, parent) REFERENCES message (conversation, id) DEFERRABLE INITIALLY DEFERRED
        )""",
        "CREATE INDEX message_parent ON message (conversation, parent)",
        """CREATE TABLE passage (
            key INTEGER PRIMARY KEY,
            conversation TEXT NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
            message TEXT NOT NULL,
            text TEXT NOT NULL,
            UNIQUE (conversation, message)
        )""",
        """CREATE VIRTUAL TABLE words USING fts5 (
            text, content = 'passage', content_rowid = 'key', tokenize = 'unicode61 remove_diacritics 2'
        )""",
        """CREATE TRIGGER passage_added AFTER INSERT ON passage BEGIN
            INSERT INTO words (rowid, text) VALUES (new.key, new.text);
        END""",
        """CREATE TRIGGER passage_removed AFTER DELETE ON passage BEGIN
            INSERT INTO words (words, rowid, text) VALUES ('delete', old.key, old.text);
        END""",
        """CREATE TRIGGER passage_changed AFTER UPDATE ON passage BEGIN
            INSERT INTO words (words, rowid, text) VALUES ('delete', old.key, old.text);
            INSERT INTO words (rowid, text) VALUES (new.key, new.text);
        END""",
    ),
)
"""The statements that bring a file from each version (`PRAGMA user_version`) to the next."""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_REASONS = {
    sqlite3.SQLITE_BUSY: "are being written by another process; try again in a moment",
    sqlite3.SQLITE_LOCKED: "are being written by another process; try again in a moment",
    sqlite3.SQLITE_READONLY: "cannot be written: make the file and its folder writable",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: make the folder readable and writable",
    sqlite3.SQLITE_FULL: "cannot be written because the disk is full: free some space",
    sqlite3.SQLITE_IOERR: "cannot be written or read because the disk is full or failing: check it",
}


class Damaged(ArchiveError):
    """The file is no SQLite database any more, or a broken one."""


def explain(error: sqlite3.Error, path: Path) -> ArchiveError:
    """What SQLite's error means to the user, in one sentence; `Damaged` if the file itself is broken."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    shown = visible(str(path))
    if code in _DAMAGED:
        return Damaged(f"The conversations in {shown} are damaged; start again to move them aside and go on.")
    return ArchiveError(f"The conversations in {shown} {_REASONS.get(code, f'cannot be used: {error}')}.")


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, made private and up to date; ArchiveError when it cannot be, `Damaged` when it is broken.

    The connection commits by itself unless a transaction is begun, and may be handed from thread to thread.
    """
    _make_private(path)
    try:
        _probe(path)
        db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            _set_up(db, path)
        except BaseException:
            db.close()
            raise
    except sqlite3.Error as error:
        raise explain(error, path) from error
    return db


def suspect(path: Path) -> Path:
    """The mark beside a file that turned out broken while in use, so that the next start looks at all of it."""
    return path.with_name(path.name + ".suspect")


def mark_suspect(path: Path) -> None:
    """Leave that mark; where nothing can be written there is none, and the damage is met again in use."""
    with suppress(OSError):
        suspect(path).touch(mode=0o600)


def _make_private(path: Path) -> None:
    """Make the folder (0700, if there is none) and the file (0600), before SQLite would with looser permissions.

    A file that exists is never opened here: closing it would drop the locks of this process's other connections.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not a file")
        if mode & 0o077:
            path.chmod(0o600)
    except OSError as error:
        shown = visible(str(path))
        reason = error.strerror or type(error).__name__
        raise ArchiveError(f"The conversations in {shown} cannot be opened for writing: {reason}.") from error


def _set_up(db: sqlite3.Connection, path: Path) -> None:
    if _version(db) > len(MIGRATIONS):
        raise ArchiveError(
            f"The conversations in {visible(str(path))} were written by a newer chatapp; update chatapp to open them."
        )
    _use_wal(db)
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    if _version(db) < len(MIGRATIONS):
        _migrate(db)
    if suspect(path).exists():
        # The file is sound, as the probe has seen, so it can only have been the search index.
        db.execute("INSERT INTO words (words) VALUES ('rebuild')")
        suspect(path).unlink(missing_ok=True)


def _use_wal(db: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; the switch does not wait for other processes as other statements do."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _migrate(db: sqlite3.Connection) -> None:
    """Apply what is missing in one transaction; asked again inside it, since another process may have been faster."""
    db.execute("BEGIN IMMEDIATE")
    for version in range(_version(db), len(MIGRATIONS)):
        for statement in MIGRATIONS[version]:
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {version + 1}")
    db.execute("COMMIT")


def _probe(path: Path) -> None:
    """Fail if the file is broken: by the look of its first pages, or of all if the last use ended in damage.

    Read-only, since closing a connection that can write folds the log into the file, however broken, and deletes it.
    """
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", timeout=BUSY_SECONDS, uri=True)
    try:
        db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if suspect(path).exists() and db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise Damaged(f"The conversations in {visible(str(path))} are damaged.")
    finally:
        db.close()


def _version(db: sqlite3.Connection) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version
