"""Conversations as files to keep, read and pass on: JSON holds the whole tree, Markdown the path that is shown.

Nothing here recurses over the tree, so a chain of any length will do, and all that is read is checked: bad input is
one ArchiveError.
"""

from __future__ import annotations

from pathlib import Path

from chatapp.conversation import Conversation
from chatapp.errors import ArchiveError
from chatapp.text import visible
from chatapp.transfer.files import found_files, with_files
from chatapp.transfer.head import MAX_CHARACTERS, VERSION, check_length
from chatapp.transfer.page import from_markdown, is_markdown, to_markdown
from chatapp.transfer.tree import FORMAT, from_json, to_json

__all__ = [
    "FORMAT",
    "MAX_CHARACTERS",
    "VERSION",
    "from_json",
    "from_markdown",
    "parse",
    "read",
    "to_json",
    "to_markdown",
    "with_files",
]


def parse(text: str) -> Conversation:
    """The conversation in an export of either kind, told apart by its beginning; raises ArchiveError."""
    check_length(text)
    return from_markdown(text) if is_markdown(text) else from_json(text)


def read(path: Path) -> Conversation:
    """The conversation in a file of either kind, with the files beside it.

    ArchiveError, and before reading it if it is far too long.
    """
    shown = visible(str(path))
    try:
        # A character takes up to four bytes, so this refuses no file that `parse` would take.
        if path.stat().st_size > 4 * MAX_CHARACTERS:
            raise ArchiveError(f"{shown} is too large to be a conversation.")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ArchiveError(f"{shown} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ArchiveError(f"{shown} is not text, so it holds no conversation to import.") from error
    return found_files(parse(text), path)
