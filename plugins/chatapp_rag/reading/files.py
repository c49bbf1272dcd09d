"""One file to one document."""

from __future__ import annotations

from pathlib import Path

from chatapp_rag.documents import Document
from chatapp_rag.reading.kinds import DOCUMENTS, Unreadable, ending, is_document, kind_of
from chatapp_rag.reading.office import read_office
from chatapp_rag.reading.texts import read_text

__all__ = ["Unreadable", "read", "read_bytes"]


def read(path: Path) -> Document:
    """The document in the file; `Unreadable` says why there is none. Blocks; may take seconds for a large one."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror or error}") from error
    return read_bytes(path.name, data)


def read_bytes(name: str, data: bytes) -> Document:
    """As `read`, of a file's name and content."""
    if not data:
        raise Unreadable("is empty")
    if not data.strip(b" \t\r\n\0"):
        raise Unreadable("has no text")
    kind = kind_of(name, data)
    if kind:
        return read_office(data, kind)
    if not is_document(name):
        raise Unreadable(f"is no document (.{ending(name)})")
    try:
        return read_text(data, ending(name))
    except Unreadable as error:
        if ending(name) not in DOCUMENTS:
            raise
        raise Unreadable(f"is no {DOCUMENTS[ending(name)][1]}, nor a text") from error
