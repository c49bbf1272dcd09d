"""Files the user mentions with ``@path`` in a message, read and attached to it as text."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from chatapp.errors import UsageError
from chatapp.messages import Source
from chatapp.progress import human_bytes
from chatapp.text import visible

LARGEST = 1_000_000
"""Bytes of the largest file that is attached; a model reads far less than that."""

MENTION = re.compile(r'(?<!\S)@(?:"([^"\n]+)"|([^\s"]+))')
"""A mention stands at the beginning of a word, so ``user@host`` is none."""


def attach(text: str, cwd: Path) -> tuple[Source, ...]:
    """The files that `text` mentions, each once, in the order of the text; relative paths begin at `cwd`.

    A mention that names no regular file (``@decorator``, a folder) is left alone. Raises UsageError, naming the file,
    when one is too large, unreadable or not text. Blocks while it reads: call it in a thread.
    """
    found: dict[Path, str] = {}
    for mention in mentions(text):
        for written in _readings(mention):
            path = cwd / Path(written).expanduser()
            if _is_file(path):
                found.setdefault(path, written)
                break
    return tuple(read_source(path, written) for path, written in found.items())


def mentions(text: str) -> Iterator[str]:
    """The paths as they are written after ``@``, whether there is such a file or not."""
    for match in MENTION.finditer(text):
        yield match[1] or match[2]


def decode(data: bytes) -> str | None:
    """The text in `data`: UTF-8 or, with a byte order mark, UTF-16; None where it is not text."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\0" in data:
        return None
    else:
        encoding = "utf-8-sig"
    try:
        return data.decode(encoding)
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
    """The text file at `path` as a Source titled as it was `written`; UsageError in one sentence when it cannot be."""
    shown = visible(written or str(path))
    if not _is_file(path):
        raise UsageError(f"{shown} is not a file, so it cannot be attached.")
    size = path.stat().st_size
    if size > LARGEST:
        raise UsageError(
            f"{shown} is {human_bytes(size)}, too much to attach (at most {human_bytes(LARGEST)}): attach a part of it."
        )
    try:
        # One byte more than allowed, so that a file that grows meanwhile is noticed.
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(f"{shown} cannot be read: {error.strerror}.") from error
    text = decode(data[:LARGEST])
    if text is None:
        raise UsageError(f"{shown} is not a text file, so it cannot be attached.")
    return Source(title=shown.replace('"', "'"), text=text, uri=os.path.abspath(path))  # noqa: PTH100 (links are kept)
