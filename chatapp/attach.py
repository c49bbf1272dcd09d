"""Files the user mentions with ``@path`` in a message, attached to it: text as it is, documents as their text."""

from __future__ import annotations

import asyncio
import codecs
import os
import re
import stat
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from chatapp.errors import UsageError
from chatapp.events import Progress
from chatapp.messages import Source
from chatapp.progress import human_bytes
from chatapp.text import visible

if TYPE_CHECKING:
    from chatapp.session import Session

LARGEST = 1_000_000
"""Bytes of the longest text that is attached; a model reads far less than that."""

MENTION = re.compile(r'(?<!\S)@(?:"([^"\n]+)"|([^\s"]+))')
"""A mention stands at the beginning of a word, so ``user@host`` is none."""


class NotText(UsageError):
    """A file that is there and may be attached, but is no text by itself."""


def mentioned(text: str, cwd: Path) -> tuple[tuple[Path, str], ...]:
    """The files that `text` mentions, each once, in the order of the text, with how each is written.

    Relative paths begin at `cwd`. A mention that names no regular file (``@decorator``, a folder) is left alone. Blocks
    while it looks: call it in a thread.
    """
    found: dict[Path, str] = {}
    for mention in mentions(text):
        for written in _readings(mention):
            path = cwd / Path(written).expanduser()
            if _is_file(path):
                found.setdefault(path, written)
                break
    return tuple(found.items())


async def attached(session: Session, files: Iterable[tuple[Path, str]]) -> AsyncGenerator[Progress | Source, None]:
    """Each file as a Source, titled as it was written, with the progress of what takes time; cancelling ends it.

    A file that is no text is read by the engine of the kind "reader", where a plugin offers one. Raises UsageError,
    naming the file, when one is too large, unreadable or nothing that can be read.
    """
    for path, written in files:
        try:
            yield await asyncio.to_thread(read_source, path, written)
        except NotText as error:
            async with aclosing(_read_document(session, path, written, error)) as news:
                async for each in news:
                    yield each


async def gather(
    session: Session, files: Iterable[tuple[Path, str]], report: Callable[[Progress], None]
) -> tuple[Source, ...]:
    """All that `attached` reads, its progress told to `report`."""
    found = []
    async with aclosing(attached(session, files)) as news:
        async for each in news:
            if isinstance(each, Source):
                found.append(each)
            else:
                report(each)
    return tuple(found)


async def _read_document(
    session: Session, path: Path, written: str, error: NotText
) -> AsyncGenerator[Progress | Source, None]:
    if not any(spec.kind == "reader" for spec in session.host.engine_specs.values()):
        raise NotText(f"{str(error).rstrip('.')}: no plugin that reads documents is loaded (`chatapp plugin list`).")
    label = f"Reading {visible(path.name)}"
    yield Progress(label)
    async with aclosing(session.host.engines.ready(session, "reader")) as news:
        async for progress in news:
            yield progress
    reader = session.host.engines.current("reader")
    assert reader is not None
    yield Progress(label)
    source = await reader.read(path)
    shown = visible(written or str(path))
    _check_size(shown, len(source.text.encode("utf-8", "replace")), " of text")
    yield replace(source, title=_title(shown), uri=source.uri or _address(path))


def mentions(text: str) -> Iterator[str]:
    """The paths as they are written after ``@``, whether there is such a file or not."""
    for match in MENTION.finditer(text):
        yield match[1] or match[2]


def decode(data: bytes, *, whole: bool = True) -> str | None:
    """The text in `data`: UTF-8 or, with a byte order mark, UTF-16; None where it is not text.

    What is not `whole` may end within a character. PDF and RTF are not text, though some look like it.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\0" in data or data.startswith((b"%PDF-", b"{\\rtf")):
        return None
    else:
        encoding = "utf-8-sig"
    try:
        return codecs.getincrementaldecoder(encoding)().decode(data, final=whole)
    except UnicodeDecodeError:
        return None


def _readings(written: str) -> Iterator[str]:
    """The path as written, then without the punctuation that may end the sentence."""
    yield written
    while written[-1:] in tuple(".,;:!?)]}'"):
        written = written[:-1]
        if written:
            yield written


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def read_source(path: Path, written: str = "") -> Source:
    """The text file at `path` as a Source titled as it was `written`.

    Raises UsageError in one sentence when it cannot be, which is a NotText where a document's reader might read it.
    """
    shown = visible(written or str(path))
    if not _is_file(path):
        raise UsageError(f"{shown} is not a file, so it cannot be attached.")
    try:
        # One byte more than allowed, so that a file that grows meanwhile is noticed.
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
            size = max(len(data), os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise UsageError(f"{shown} cannot be read: {error.strerror}.") from error
    text = decode(data, whole=size <= LARGEST)
    if text is None:
        raise NotText(f"{shown} is not a text file, so it cannot be attached.")
    _check_size(shown, size)
    return Source(title=_title(shown), text=text, uri=_address(path))


def _check_size(shown: str, size: int, of: str = "") -> None:
    if size > LARGEST:
        raise UsageError(
            f"{shown} is {human_bytes(size)}{of}, too much to attach (at most {human_bytes(LARGEST)}): "
            "attach a part of it."
        )


def _title(shown: str) -> str:
    """A name that stays within the quotation marks it is put between."""
    return shown.replace('"', "'")


def _address(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 (links are kept)
