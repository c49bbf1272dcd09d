"""What a file turns into on its way to the index: a document, then chunks that know where they are from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["markdown", "text", "rows", "code"]


@dataclass(frozen=True, slots=True)
class Document:
    """A file as text.

    `kind` says along what it is split: headings (`markdown`), paragraphs (`text`), lines that are records (`rows`),
    definitions (`code`, of the programming language `language`). `header` is the line of column names of `rows`,
    repeated with every chunk. `pages` are the offsets in `text`, in characters, at which the pages begin, empty for a
    file without pages. `lined` says that the lines of `text` are the lines of the file.
    """

    text: str
    kind: Kind = "text"
    title: str = ""
    language: str = ""
    header: str = ""
    pages: tuple[int, ...] = ()
    lined: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of a document.

    `heading` is the path of headings above it, joined by " > "; pages and lines count from 1.
    """

    text: str
    heading: str = ""
    page: int | None = None
    first_line: int | None = None
    last_line: int | None = None

    @property
    def embedded(self) -> str:
        """What is turned into a vector and searched: the headings, which say what a passage is about, and the text."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text

    @property
    def locator(self) -> str:
        """Where in the file it is, for people: ``page 3``, ``lines 10-42``; empty when that is unknown."""
        if self.page is not None:
            return f"page {self.page}"
        if self.first_line is None:
            return ""
        alone = self.last_line in (None, self.first_line)
        return f"line {self.first_line}" if alone else f"lines {self.first_line}-{self.last_line}"


@dataclass(frozen=True, slots=True)
class Reading:
    """What came of reading one file: its chunks, or the `reason`, a sentence, why there are none.

    `digest` is the SHA-256 (hex) of the file's bytes and its kind: files with equal digests have equal chunks.
    """

    digest: str = ""
    title: str = ""
    chunks: tuple[Chunk, ...] = ()
    language: str = ""
    reason: str = ""
