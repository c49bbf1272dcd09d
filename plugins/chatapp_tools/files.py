"""Reading, listing and searching files: free inside the allowed folders, asked for beyond."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from chatapp import Ask, Data, Progress, Session, Source, UsageError, action, attached, human_bytes, one_line, visible
from chatapp_tools.access import Agreed, Reached, agree, agreed_on, opened, own_folders, reach, shown_path
from chatapp_tools.texts import LARGEST, decoded
from chatapp_tools.walking import Walk

if TYPE_CHECKING:
    from chatapp_tools.finding import Found

MOST_CHARACTERS = 6_500
"""Characters of a file that one call gives; the rest is there for the asking."""
MOST_ENTRIES = 200
"""Entries of a folder that are listed."""
LARGEST_DOCUMENT = 200_000_000


async def may_read(session: Session, values: Mapping[str, Any]) -> Ask | None:
    """Asks for what is not inside the allowed folders, with the whole path."""
    written = str(values["path"])
    reached = await asyncio.to_thread(reach, session, written)
    agree(Agreed(written, reached))
    # What is not there is told at once: a small model often invents a path.
    if reached.inside or reached.identity is None:
        return None
    path = str(reached.path)
    return Ask(f"Let the model read {visible(path)}? Beware: {reached.why}.", path, dangers=(path,), exact=path)


async def _allowed(session: Session, written: str) -> Reached:
    reached = await asyncio.to_thread(reach, session, written)
    agreed_on(written, reached)
    return reached


@action("read file", tool=True, consent=may_read, shell=False)
async def read_file(
    session: Session,
    path: Annotated[str, "For example README.md or docs/plan.pdf"],
    *,
    first_line: Annotated[int, "Where to begin"] = 1,
    lines: Annotated[int, "How many, at most 1000"] = 200,
) -> AsyncGenerator[Progress | str, None]:
    """Read a file: text, PDF or office document. Use it before you say anything about a file."""
    reached = await _allowed(session, path)
    data = await asyncio.to_thread(_beginning, reached)
    content = decoded(data) if len(data) <= LARGEST else None
    if content is not None:
        yield excerpt(shown_path(reached.path), content.text, first_line, lines)
        return
    if len(data) > LARGEST and decoded(data[:4000].rsplit(b"\n", 1)[0]) is not None:
        raise UsageError(
            f"{shown_path(reached.path)} is larger than {human_bytes(LARGEST)}: "
            "use search_files with this path to find the part you need."
        )
    async with aclosing(_document(session, reached)) as news:
        async for each in news:
            if isinstance(each, Source):
                yield excerpt(shown_path(reached.path), each.text, first_line, lines)
            else:
                yield each


def _beginning(reached: Reached) -> bytes:
    with opened(reached) as file:
        return file.read(LARGEST + 1)


async def _document(session: Session, reached: Reached) -> AsyncGenerator[Progress | Source, None]:
    """The text of a PDF or an office document, by the plugin that reads such."""
    # A copy of what was opened, as the reader takes a path and would follow what stands there by then.
    with tempfile.TemporaryDirectory(prefix="chatapp-") as folder:
        copy = Path(folder) / reached.path.name
        await asyncio.to_thread(_copy, reached, copy)
        async with aclosing(attached(session, [(copy, shown_path(reached.path))])) as news:
            async for each in news:
                yield each


def _copy(reached: Reached, to: Path) -> None:
    with opened(reached) as source, to.open("wb") as target:
        size = os.fstat(source.fileno()).st_size
        if size > LARGEST_DOCUMENT:
            raise UsageError(f"{shown_path(reached.path)} is {human_bytes(size)}, too large to read.")
        shutil.copyfileobj(source, target)


def excerpt(name: str, text: str, first: int, count: int) -> str:
    """`count` lines of a text from line `first`, fewer where they are long, with a line that says what they are.

    Without line numbers: a small model copies them into what it writes back.
    """
    # Only what ends lines in files: `splitlines` also splits at form feeds and the like.
    lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []
    if not lines:
        return f"{name} is empty."
    if first > len(lines):
        raise UsageError(f"{name} has only {len(lines):,} lines: ask for a first_line from 1 to {len(lines)}.")
    begin = max(first, 1) - 1
    taken: list[str] = []
    room = MOST_CHARACTERS
    for line in lines[begin : begin + max(1, min(count, 1000))]:
        if taken and len(line) >= room:
            break
        taken.append(line if len(line) <= room else f"{line[:room]}… (the line goes on)")
        room -= len(taken[-1]) + 1
    end = begin + len(taken)
    more = f"\n(More follows: read_file with first_line={end + 1} goes on.)" if end < len(lines) else ""
    return f"{name}, lines {begin + 1} to {end} of {len(lines)}:\n" + "\n".join(taken) + more


@action("list files", tool=True, consent=may_read, shell=False)
async def list_files(
    session: Session,
    path: Annotated[str, "Folder to list; . is the current folder"] = ".",
    pattern: Annotated[str, "Part of a name, or a pattern like *.py, to find in all folders below"] = "",
) -> Data:
    """List what is in a folder, or find files by name. Use it when you do not know a path."""
    reached = await _folder(session, path)
    if pattern:
        from chatapp_tools.finding import find_names

        found = await _in_thread(session, find_names, reached.path, pattern)
        return _told(found, f"No file below {visible(path)} is named {pattern!r}.")
    return await asyncio.to_thread(_listing, reached.path)


@action("search files", tool=True, consent=may_read, shell=False)
async def search_files(
    session: Session,
    text: Annotated[str, "The words, as they stand in the file"],
    path: Annotated[str, "Folder or file to search; . is the current folder"] = ".",
    pattern: Annotated[str, "Only in files with such names, for example *.md"] = "",
) -> Data:
    """Find the lines of files that have certain words. Use it when you do not know which file says something."""
    if not text.strip() or "\n" in text.strip():
        raise UsageError("Say which text to look for, words of one line.")
    reached = await _allowed(session, path)
    if reached.identity is None:
        raise UsageError(f"There is no folder or file {visible(path)}; list_files shows what is there.")
    from chatapp_tools.finding import find_text

    found = await _in_thread(session, find_text, reached.path, text, pattern)
    return _told(found, f"No line with {one_line(text, 60)!r} was found in {visible(path)}.")


async def _folder(session: Session, written: str) -> Reached:
    reached = await _allowed(session, written)
    if reached.identity is None:
        raise UsageError(f"There is no folder {visible(written)}; list_files without a path shows what is there.")
    if not reached.folder:
        raise UsageError(f"{visible(written)} is a file: use read_file to read it.")
    return reached


async def _in_thread(session: Session, work: Any, root: Path, *arguments: str) -> Found:
    walk = Walk(root, own_folders(session))
    try:
        found: Found = await asyncio.to_thread(work, walk, *arguments)
        return found
    finally:
        # A thread cannot be cancelled: it looks here.
        walk.stopped.set()


def _told(found: Found, none: str) -> Data:
    lines = found.lines or [none]
    return Data("tools.files", found.rows, "\n".join([*lines, *([f"({found.cut})"] if found.cut else [])]))


def _listing(folder: Path) -> Data:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda each: (not each.is_dir(follow_symlinks=False), each.name.lower()))
    except OSError as error:
        raise UsageError(f"The folder {shown_path(folder)} cannot be listed: {error.strerror}.") from error
    rows = [_row(each) for each in found[:MOST_ENTRIES]]
    lines = [f"{row['name']}  ({row['size']})" if row["size"] else row["name"] for row in rows]
    left = len(found) - len(rows)
    more = [f"({left:,} more; give a pattern to find one)"] if left else []
    head = f"{shown_path(folder)} holds {len(found):,} entries:" if found else f"{shown_path(folder)} is empty."
    return Data("tools.files", rows, "\n".join([head, *lines, *more]))


def _row(entry: os.DirEntry[str]) -> dict[str, str]:
    name = visible(entry.name)
    if entry.is_symlink():
        return {"name": f"{name}", "size": "link"}
    if entry.is_dir(follow_symlinks=False):
        return {"name": f"{name}/", "size": ""}
    return {"name": name, "size": human_bytes(entry.stat(follow_symlinks=False).st_size)}
