"""The service in the child process: reads files and splits them, for a reader may crash on a file or never end."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Final

from chatapp import Job
from chatapp_rag.documents import Document, Reading
from chatapp_rag.reading.files import Unreadable, read_bytes
from chatapp_rag.reading.kinds import ending
from chatapp_rag.reading.languages import language_of
from chatapp_rag.reading.measuring import Ruler
from chatapp_rag.reading.splitting import split

VERSION: Final = "1"
"""Changed with what is read or how it is split, so that files are read again then."""


class Service:
    """Reads one file at a time. A file that cannot be read gives a reason, never an error."""

    def read(self, job: Job, path: str, tokenizer: str, capacity: int) -> Reading:
        """The chunks of a file, each of at most `capacity` tokens of the model whose ``tokenizer.json`` is given.

        Without a tokenizer ("") a token is taken for four characters.
        """
        digest = ""
        try:
            data = _bytes(path)
            digest = digest_of(path, data)
            document = read_bytes(Path(path).name, data)
            chunks = tuple(split(document, _ruler(tokenizer), capacity))
            return Reading(digest, document.title, chunks, _language(document))
        except Unreadable as error:
            return Reading(digest, reason=str(error))
        except Exception as error:  # noqa: BLE001 - whatever a library raises for a file is about this file only
            return Reading(digest, reason=_unforeseen(error))

    def text(self, job: Job, path: str) -> tuple[str, str, str]:
        """The title and the whole text of a file, and "" or the reason why there is none."""
        try:
            document = read_bytes(Path(path).name, _bytes(path))
            return document.title, document.text, ""
        except Unreadable as error:
            return "", "", str(error)
        except Exception as error:  # noqa: BLE001 - as above
            return "", "", _unforeseen(error)


def digest_of(path: str, data: bytes) -> str:
    """The SHA-256 (hex) of a file's ending, its bytes, and the version of the reader."""
    return hashlib.sha256(f"{VERSION}\0{ending(path)}\0".encode() + data).hexdigest()


@lru_cache(maxsize=2)
def _ruler(tokenizer: str) -> Ruler:
    return Ruler(tokenizer)


def _bytes(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror or error}") from error


def _language(document: Document) -> str:
    return "" if document.kind == "code" else language_of(document.text)


def _unforeseen(error: Exception) -> str:
    reason = " ".join(str(error).split())[:200].rstrip(".")
    return f"could not be read: {type(error).__name__}{': ' if reason else ''}{reason}"
