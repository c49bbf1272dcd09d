"""Search over the text of all messages and titles."""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass

from chatapp.text import HIDDEN, visible

MARK_START = "\x02"
"""Goes before each matching word in a `Hit`'s snippet."""
MARK_END = "\x03"
"""Goes after each matching word in a `Hit`'s snippet."""

_MOST_TERMS = 32
_SNIPPET_WORDS = 24
# Chinese and Japanese are written without spaces: each sign is made a word of its own, else only whole clauses match.
_SIGN = re.compile("([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")
_GAP = "\u200b"


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that matches: `message` is None when it is the title.

    `snippet` is one line of visible text in which each match stands between `MARK_START` and `MARK_END`. `title` is as
    the user gave it: show it through `chatapp.text.one_line`.
    """

    conversation: str
    title: str
    message: str | None
    snippet: str


def searchable(text: str) -> str:
    """`text` as it goes into the index: free of control characters, signs of unspaced scripts set apart."""
    return _SIGN.sub(rf"\1{_GAP}", visible(text))


def expression(query: str) -> str:
    """What the user typed as an FTS5 expression: each term quoted, all of them wanted, the last one as a prefix.

    Empty when there is nothing to look for.
    """
    terms = [term for term in HIDDEN.sub(" ", query).split() if re.search(r"\w", term)]
    quoted = ['"' + searchable(term).replace('"', '""') + '"' for term in terms[:_MOST_TERMS]]
    return " ".join(quoted) + "*" if quoted else ""


def find_hits(db: sqlite3.Connection, query: str, limit: int) -> list[Hit]:
    """The best `limit` hits among the conversations that are not deleted, best first."""
    wanted = expression(query)
    if not wanted:
        return []
    # Ordered by rank alone: FTS5 then sorts by itself, and a snippet is made only for the rows that are returned.
    rows = db.execute(
        f"""SELECT p.conversation, c.title, p.message, snippet(words, 0, '{MARK_START}', '{MARK_END}', '…', ?)
            FROM words
            JOIN passage AS p ON p.key = words.rowid
            JOIN conversation AS c ON c.id = p.conversation
            WHERE words MATCH ? AND c.deleted IS NULL
            ORDER BY rank LIMIT ?""",
        (_SNIPPET_WORDS, wanted, limit),
    )
    return [Hit(conversation, title, message or None, _tidy(snippet)) for conversation, title, message, snippet in rows]


def _tidy(snippet: str) -> str:
    return " ".join(snippet.replace(_GAP, "").split())
