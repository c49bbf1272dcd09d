"""A conversation's tree as rows, and rows as a tree. Every function works inside the caller's transaction.

What is chosen is stored as the exceptions to the rule that each message shows its newest version below it: that is
small, and a message another process has added in the meantime is shown instead of being hidden by an older choice.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

from chatapp.archive.search import searchable
from chatapp.codec import dump_message, load_message
from chatapp.conversation import Conversation, Node
from chatapp.errors import ArchiveError
from chatapp.jsonvalue import check_id, check_list, check_object, check_text, check_time, decode, encode
from chatapp.messages import Message
from chatapp.text import one_line

PREVIEW_CELLS = 200
"""How much of the first question is kept for lists, in terminal cells."""


def put_row(db: sqlite3.Connection, conversation: Conversation, *, retitle: bool) -> None:
    """Insert or update the conversation's own row; a title that is already there stays unless `retitle`."""
    values = {
        "id": check_id(conversation.id, "A conversation's id"),
        "title": storable(conversation.title),
        "preview": one_line(_first_question(conversation), PREVIEW_CELLS),
        "created": check_time(conversation.created, "The conversation's time"),
        "updated": check_time(conversation.updated, "The conversation's time"),
        "vals": encode(check_object(conversation.values, "The conversation's values")),
        "shown": encode(_shown(conversation)),
        "retitle": retitle,
    }
    db.execute(
        """INSERT INTO conversation (id, title, preview, created, updated, vals, shown)
           VALUES (:id, :title, :preview, :created, :updated, :vals, :shown)
           ON CONFLICT (id) DO UPDATE SET
               title = CASE WHEN :retitle OR title = '' THEN excluded.title ELSE title END,
               preview = excluded.preview, updated = max(updated, excluded.updated),
               vals = excluded.vals, shown = excluded.shown""",
        values,
    )
    title = db.execute("SELECT title FROM conversation WHERE id = ?", (conversation.id,)).fetchone()[0]
    put_passages(db, [(conversation.id, "", title)])


def put_messages(db: sqlite3.Connection, conversation: str, placed: Iterable[tuple[Node, int]]) -> None:
    """Insert or update these messages, each with its place among its siblings; what is unchanged is not written."""
    rows, passages = [], []
    for node, place in placed:
        message = node.message
        rows.append((conversation, message.id, node.parent, place, encode(dump_message(message))))
        passages.append((conversation, message.id, message.text))
    db.executemany(
        """INSERT INTO message (conversation, id, parent, place, body) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (conversation, id) DO UPDATE SET body = excluded.body WHERE body IS NOT excluded.body""",
        rows,
    )
    put_passages(db, passages)


def put_passages(db: sqlite3.Connection, passages: Iterable[tuple[str, str, str]]) -> None:
    """Make these texts searchable: (conversation, message or '' for the title, text)."""
    db.executemany(
        """INSERT INTO passage (conversation, message, text) VALUES (?, ?, ?)
           ON CONFLICT (conversation, message) DO UPDATE SET text = excluded.text WHERE text IS NOT excluded.text""",
        [(conversation, message, searchable(text)) for conversation, message, text in passages],
    )


def put_tree(db: sqlite3.Connection, conversation: Conversation, *, retitle: bool) -> None:
    """Insert or update the conversation and all of its messages; messages only the file has are left as they are."""
    nodes = dict(conversation.nodes)
    places = {name: place for place, name in enumerate(conversation.roots)}
    for node in nodes.values():
        places.update({name: place for place, name in enumerate(node.children)})
    put_row(db, conversation, retitle=retitle)
    put_messages(db, conversation.id, ((node, places[name]) for name, node in nodes.items()))


def has_message(db: sqlite3.Connection, conversation: str, message: str) -> bool:
    """Whether that message is in the file."""
    found = db.execute("SELECT 1 FROM message WHERE conversation = ? AND id = ?", (conversation, message))
    return found.fetchone() is not None


def get_tree(db: sqlite3.Connection, name: str) -> Conversation:
    """The whole conversation of that id, which must be there; ArchiveError if a row in it cannot be understood."""
    title, created, updated, vals, shown = db.execute(
        "SELECT title, created, updated, vals, shown FROM conversation WHERE id = ?", (name,)
    ).fetchone()
    what = f"Conversation {name}"
    conversation = Conversation(name, title, created, updated, check_object(decode(vals, what), f"{what}: values"))
    order: dict[str, tuple[int, int]] = {}
    rows = db.execute("SELECT id, parent, place, body, key FROM message WHERE conversation = ? ORDER BY key", (name,))
    for message, parent, place, body, key in rows:
        conversation.nodes[message] = Node(_message(message, body, what), parent)
        order[message] = (place, key)
    for message in sorted(order, key=order.__getitem__):
        parent = conversation.nodes[message].parent
        (conversation.roots if parent is None else conversation.nodes[parent].children).append(message)
    _show(conversation, check_object(decode(shown, what), f"{what}: shown"))
    return conversation


def storable(title: str) -> str:
    """The title without lone surrogates (bytes that are no text), which SQLite cannot hold; ArchiveError if huge."""
    return check_text(title, "The title", most=10_000).encode("utf-8", "replace").decode("utf-8")


def _message(name: str, body: str, what: str) -> Message:
    message = load_message(decode(body, what))
    if message.id != name:
        raise ArchiveError(f"{what} is damaged: message {name} holds the text of message {message.id}.")
    return message


def _shown(conversation: Conversation) -> dict[str, Any]:
    """What is chosen where it is not the newest version ('' stands for the start), and what is pinned."""
    # A copy made in one step: the tree may grow in the event loop's thread while this one reads it.
    nodes = list(conversation.nodes.items())
    choices = {name: node.chosen for name, node in nodes if node.chosen != _newest(node.children)}
    if conversation.chosen_root != _newest(conversation.roots):
        choices[""] = conversation.chosen_root
    return {"choices": choices, "pins": [name for name, node in nodes if node.pinned]}


def _show(conversation: Conversation, shown: dict[str, Any]) -> None:
    """Apply what `_shown` wrote; a choice that names no version there is passed over."""
    choices = check_object(shown.get("choices", {}), "The choices")
    for name, node in conversation.nodes.items():
        node.chosen = _choice(choices, name, node.children)
    conversation.chosen_root = _choice(choices, "", conversation.roots)
    for name in check_list(shown.get("pins", []), "The pins"):
        if name in conversation.nodes:
            conversation.nodes[name].pinned = True


def _choice(choices: dict[str, Any], name: str, versions: list[str]) -> str | None:
    newest = _newest(versions)
    chosen = choices.get(name, newest)
    return chosen if chosen is None or chosen in versions else newest


def _newest(versions: list[str]) -> str | None:
    return versions[-1] if versions else None


def _first_question(conversation: Conversation) -> str:
    """The text of the first user's message that is shown, else of any first message, else nothing."""
    first = ""
    for message in conversation.path():
        if message.role == "user":
            return message.text
        first = first or message.text
    return first
