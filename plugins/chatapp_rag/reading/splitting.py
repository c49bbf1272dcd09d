"""A document to chunks along its structure, each small enough for the embedding model together with its heading.

The cutting is semantic-text-splitter's; what is ours is where it may not cut across (headings, pages, records), and
that every chunk knows the headings above it. Chunks do not overlap, and all of the text but white space is in one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from chatapp_rag.documents import Chunk, Document
from chatapp_rag.reading.definitions import definitions, grammar
from chatapp_rag.reading.measuring import LONGEST_TOKEN, Ruler
from chatapp_rag.reading.outline import Section, Table, sections, tables
from chatapp_rag.reading.pieces import Piece, Places, blocks, code_blocks, cut_at, packed
from chatapp_rag.reading.texts import records

if TYPE_CHECKING:
    from semantic_text_splitter import CodeSplitter, MarkdownSplitter, TextSplitter

    Splitter = CodeSplitter | MarkdownSplitter | TextSplitter

SEPARATOR: Final = " > "
SMALLEST: Final = 16
"""Tokens below which a capacity cannot be: a heading and a few words must fit."""
_CURLED: Final = str.maketrans("'\"", "’”")
"""The splitter takes straight quotes for borders of Markdown elements, and cuts there rather than after a sentence."""
_LARGEST_CODE: Final = 500_000


def split(document: Document, ruler: Ruler, capacity: int) -> list[Chunk]:
    """The chunks of a document, in order. `capacity` is in tokens, the model's special ones and the heading included.

    A heading takes a quarter of the capacity at the most; of a longer one the end is kept.
    """
    return list(_Splitting(document, ruler, max(SMALLEST, capacity - ruler.special)).chunks())


class _Splitting:
    def __init__(self, document: Document, ruler: Ruler, room: int) -> None:
        self._document, self._ruler, self._room = document, ruler, room
        self._text = document.text
        self._places = Places(self._text, document.pages, document.lined)
        self._made: dict[tuple[str, int], Splitter] = {}
        self._headings: dict[tuple[str, ...], tuple[str, int]] = {}

    def chunks(self) -> Iterator[Chunk]:
        ways: dict[str, Callable[[], Iterator[Piece]]] = {
            "markdown": self._markdown, "rows": self._rows, "code": self._code, "text": self._plain,
        }  # fmt: skip
        for piece in ways[self._document.kind]():
            yield from map(self._chunk, self._fitted(piece))

    def _chunk(self, piece: Piece) -> Chunk:
        heading, _ = self._heading(piece.path)
        first, last = self._places.line(piece.start), self._places.line(piece.end - 1)
        page = self._places.page(piece.start)
        return Chunk(self._text[piece.start : piece.end], heading, page, first, last)

    def _fitted(self, piece: Piece) -> Iterator[Piece]:
        """The piece without white space around it, cut again for as long as it is too large; none if it is blank."""
        start, end = self._trimmed(piece.start, piece.end)
        if start == end:
            return
        heading, size = self._heading(piece.path)
        text = self._text[start:end]
        if self._ruler.size(f"{heading}\n{text}" if heading else text) <= self._room:
            yield Piece(start, end, piece.path)
            return
        room = min(self._room - size, self._ruler.size(text) - 1)
        for first, last in self._split("text", start, end, max(1, room)):
            # A single character is as small as it gets, whatever its size.
            smaller = last - first < end - start and end - start > 1
            yield from self._fitted(Piece(first, last, piece.path)) if smaller else self._halved(piece)

    def _halved(self, piece: Piece) -> Iterator[Piece]:
        start, end = self._trimmed(piece.start, piece.end)
        middle = (start + end) // 2
        if middle == start:
            yield Piece(start, end)
            return
        yield from self._fitted(Piece(start, middle, piece.path))
        yield from self._fitted(Piece(middle, end, piece.path))

    def _trimmed(self, start: int, end: int) -> tuple[int, int]:
        text = self._text[start:end]
        end -= len(text) - len(text.rstrip())
        # The first line keeps its indentation, which means something in code and lists.
        blank = text[: len(text) - len(text.lstrip())]
        return (start + blank.rfind("\n") + 1, end) if text.strip() else (end, end)

    def _heading(self, path: tuple[str, ...]) -> tuple[str, int]:
        """The heading and its size with its line break, shortened from the left to a quarter of the room."""
        if path not in self._headings:
            heading, limit = SEPARATOR.join(filter(None, path)), self._room // 4
            while heading and self._ruler.size(heading + "\n") > limit:
                _, parted, rest = heading.partition(SEPARATOR)
                heading = rest if parted else heading[max(1, len(heading) // 8) :].lstrip()
            self._headings[path] = heading, self._ruler.size(heading + "\n") if heading else 0
        return self._headings[path]

    def _split(self, kind: str, start: int, end: int, room: int) -> Iterator[tuple[int, int]]:
        for first, last in blocks(self._text, start, end):
            block = self._text[first:last].translate(_CURLED)
            for offset, text in self._splitter(kind, room).chunk_indices(block):
                yield first + offset, first + offset + len(text)

    def _splitter(self, kind: str, room: int) -> Splitter:
        from semantic_text_splitter import MarkdownSplitter, TextSplitter

        if (kind, room) not in self._made:
            made = MarkdownSplitter if kind == "markdown" else TextSplitter
            self._made[kind, room] = made.from_callback(self._ruler.size, room)
        return self._made[kind, room]

    def _plain(self) -> Iterator[Piece]:
        for start, end in cut_at(0, len(self._text), self._document.pages):
            yield from (Piece(*span) for span in self._split("text", start, end, self._room))

    def _markdown(self) -> Iterator[Piece]:
        parts = [
            Section(start, end, section.path)
            for section in sections(self._text)
            for start, end in cut_at(section.start, section.end, self._document.pages)
        ]
        sizes = self._ruler.sizes([self._text[part.start : part.end] for part in parts], self._room)
        group, total = Piece(0, 0), 0
        for part, size in zip(parts, sizes, strict=True):
            path = _common(group.path, part.path) if total else part.path
            if self._joins(group, total, part, path) and total + size + self._heading(path)[1] <= self._room:
                group, total = Piece(group.start, part.end, path), total + size
                continue
            yield from self._section(group, total)
            group, total = Piece(*part), size
        yield from self._section(group, total)

    def _joins(self, group: Piece, size: int, part: Section, path: tuple[str, ...]) -> bool:
        """Whether a section may join the small ones before it: on the same page, below the same heading."""
        if self._places.page(group.start) != self._places.page(part.start):
            return False
        return size <= self._room // 2 and (bool(path) or not size)

    def _section(self, piece: Piece, size: int) -> Iterator[Piece]:
        room = self._room - self._heading(piece.path)[1]
        if size <= room:
            yield piece
            return
        at = piece.start
        for table in tables(self._text[piece.start : piece.end]):
            start = piece.start + table.start
            if not self._tiny(at, start):
                yield from self._prose(piece, at, start, room)
                at = start
            # A heading or a line right above a table stays with it.
            yield from self._table(piece, at, table)
            at = piece.start + table.end
        yield from self._prose(piece, at, piece.end, room)

    def _tiny(self, start: int, end: int) -> bool:
        least = self._room // 8
        return end - start <= least * LONGEST_TOKEN and self._ruler.size(self._text[start:end]) <= least

    def _prose(self, piece: Piece, start: int, end: int, room: int) -> Iterator[Piece]:
        line = self._text.find("\n", start, end)
        heads = start == piece.start and piece.path and line > 0 and self._tiny(start, line)
        # The heading's own line goes with the first part, for which room is kept.
        room -= self._ruler.size(self._text[start:line]) if heads else 0
        yield from (Piece(*span, piece.path) for span in self._joined(self._split("markdown", start, end, room)))

    def _joined(self, spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        """The spans, a tiny one (a heading, the first line of a class) joined to the one after it where that fits."""
        start = end = 0
        for first, last in spans:
            if (
                end > start
                and self._tiny(start, end)
                and self._ruler.size(self._text[start:last]) <= self._room * 7 // 8
            ):
                end = last
                continue
            if end > start:
                yield start, end
            start, end = first, last
        if end > start:
            yield start, end

    def _table(self, piece: Piece, start: int, table: Table) -> Iterator[Piece]:
        body, end = piece.start + table.body, piece.start + table.end
        path = (*piece.path, table.columns)
        head = self._ruler.size(self._text[start:body])
        room = self._room - self._heading(path)[1]
        spans = list(_line_spans(self._text, body, end))
        sizes = self._ruler.sizes([self._text[first:last] for first, last in spans], self._room)
        first = True
        for begin, stop, _ in packed([(start, body), *spans], [head, *sizes], room):
            # The first part has the names of the columns in its text.
            yield Piece(begin, stop, piece.path if first else path)
            first = False

    def _rows(self) -> Iterator[Piece]:
        path = (self._document.header,) if self._document.header else ()
        room = self._room - self._heading(path)[1]
        spans = list(records(self._text))
        sizes = self._ruler.sizes([self._text[start:end] for start, end in spans], self._room)
        for start, end, _ in packed(spans, sizes, room):
            yield Piece(start, end, path if start else ())

    def _code(self) -> Iterator[Piece]:
        from semantic_text_splitter import CodeSplitter

        known = grammar(self._document.language) if len(self._text) <= _LARGEST_CODE else None
        if known is None:
            yield from self._plain()
            return
        outline = definitions(self._text, known)
        # Room for the heading is kept before it is known what it will be.
        splitter = CodeSplitter.from_callback(known, self._ruler.size, self._room * 3 // 4)
        spans = (
            (first + start, first + start + len(text))
            for first, last in code_blocks(self._text)
            for start, text in splitter.chunk_indices(self._text[first:last])
        )
        for start, end in self._joined(spans):
            first = start + _indent(self._text[start:end])
            inside = [each.label for each in outline if each.start <= first and end <= each.end]
            yield Piece(start, end, tuple(inside))


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip())


def _common(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    count = 0
    while count < min(len(one), len(other)) and one[count] == other[count]:
        count += 1
    return one[:count]


def _line_spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop + 1
        yield start, stop
        start = stop
