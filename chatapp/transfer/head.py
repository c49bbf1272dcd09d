"""What both kinds of export have in common: their version, how much is taken in, and the conversation's own values."""

from __future__ import annotations

from typing import Any

from chatapp.conversation import Conversation
from chatapp.errors import ArchiveError
from chatapp.jsonvalue import check_id, check_object, check_text, check_time

VERSION = 1
"""The version of the formats that is written, and the newest that is read."""
MAX_CHARACTERS = 2**26
"""The longest text that is imported."""
MAX_MESSAGES = 1_000_000
"""The most messages that are imported at once."""


def check_length(text: str) -> None:
    """ArchiveError if there is nothing in `text`, or far too much."""
    if not text.strip():
        raise ArchiveError("There is nothing to import: the file is empty.")
    if len(text) > MAX_CHARACTERS:
        raise ArchiveError(f"The file is {len(text):,} characters long, and at most {MAX_CHARACTERS:,} are imported.")


def check_version(version: Any) -> None:
    """ArchiveError if this is no version that can be read."""
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ArchiveError("The file does not say which version of the export format it is; export it again.")
    if version > VERSION:
        raise ArchiveError("The file was exported by a newer chatapp; update chatapp to import it.")


def dump_head(conversation: Conversation) -> dict[str, Any]:
    """The version and the conversation's own values, without its messages; ArchiveError if one cannot be kept."""
    return {
        "version": VERSION,
        "id": check_id(conversation.id, "The conversation's id"),
        "title": check_text(conversation.title, "The title"),
        "created": check_time(conversation.created, "The conversation's time"),
        "updated": check_time(conversation.updated, "The conversation's time"),
        "values": check_object(conversation.values, "The conversation's values"),
    }


def load_head(value: dict[str, Any]) -> Conversation:
    """A conversation without messages from what `dump_head` wrote, checked; other fields are passed over."""
    check_version(value.get("version"))
    return Conversation(
        id=check_id(value.get("id"), "The conversation's id"),
        title=check_text(value.get("title"), "The title"),
        created=check_time(value.get("created"), "The conversation's time"),
        updated=check_time(value.get("updated"), "The conversation's time"),
        values=check_object(value.get("values"), "The conversation's values"),
    )
