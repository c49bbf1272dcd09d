"""What is stored: collections, the files in them, and what a search brings back. Frozen values that cross processes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from chatapp import UsageError

NAME = re.compile(r"[\w][\w .-]{0,63}")
"""A collection's name: letters and digits of any script, spaces, dots, dashes."""


@dataclass(frozen=True, slots=True)
class Collection:
    """A set of documents that were embedded by one model.

    `model` is the embedding model's identity and `asked` the name it is opened by; `language` is an ISO 639-1 code, ""
    while none is known. `roots` are the absolute paths that were added. `created` and `removed` are seconds since
    1970; a removed one can be restored until it is purged. `ann` says which vector index there is, "" for none.
    """

    id: str
    name: str
    model: str
    asked: str
    dimensions: int
    language: str = ""
    roots: tuple[str, ...] = ()
    created: float = 0.0
    removed: float | None = None
    ann: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a collection, as it was when it was read; `reason` says why it has no chunks."""

    path: str
    digest: str
    size: int
    mtime_ns: int
    chunks: int = 0
    title: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that a search found.

    `text` is without the heading. `paths` are the files that hold it (equal files are stored once). `score` is the
    fused one the hits are ordered by, 0 to 1; `similarity` the cosine to the query, None where only words matched.
    """

    digest: str
    ordinal: int
    text: str
    heading: str = ""
    page: int | None = None
    first_line: int | None = None
    last_line: int | None = None
    paths: tuple[str, ...] = ()
    title: str = ""
    score: float = 0.0
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The hits of a search, best first, and the highest cosine of any chunk to the query."""

    hits: tuple[Hit, ...] = ()
    best: float = 0.0


@dataclass(frozen=True, slots=True)
class Stats:
    """How much a collection holds: files with text, files without and why, chunks, bytes on disk (0 where unknown)."""

    files: int
    skipped: int
    chunks: int
    size: int = 0
    reasons: tuple[tuple[str, str], ...] = field(default=())


def counted(count: int, thing: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{count:,} {thing}{'s' * (count != 1)}"


def checked_name(name: str) -> str:
    """The name, if a collection can be called so; UsageError otherwise."""
    if not NAME.fullmatch(name.strip()):
        raise UsageError(
            f"A collection cannot be called {name!r}: use up to 64 letters, digits, spaces, dots and dashes, with a "
            "letter or digit first."
        )
    return name.strip()
