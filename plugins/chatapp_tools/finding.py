"""Finding files by name and lines by text in a walk through folders. Blocks: for a thread."""

from __future__ import annotations

import fnmatch
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chatapp import UsageError, human_bytes, one_line, visible
from chatapp_tools.access import Reached, opened
from chatapp_tools.texts import decoded
from chatapp_tools.walking import Walk

MOST_FOUND = 50
"""Lines of a search that are told."""
MOST_NAMES = 200
MOST_SEARCHED = 2_000_000
"""Bytes of the largest file that is searched among others."""
MOST_ALONE = 50_000_000
"""Bytes of the largest file that is searched by name."""
WIDTH = 160
"""Cells of a line that is told."""


@dataclass(slots=True)
class Found:
    """What was found: as rows to look at, as lines to tell, and why that is not all, if so."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    cut: str = ""


def find_names(walk: Walk, pattern: str) -> Found:
    """Files with a name, or a path from the root of the walk, that fits the pattern or holds it as a part."""
    found = Found()
    for path in walk.files():
        name = _relative(path, walk.root)
        if not _fits(name, pattern):
            continue
        if len(found.rows) == MOST_NAMES:
            found.cut = "there are more; give a longer pattern"
            return found
        size = human_bytes(path.lstat().st_size) if os.path.lexists(path) else "gone"
        found.rows.append({"name": visible(name), "size": size})
        found.lines.append(f"{visible(name)}  ({size})")
    found.cut = walk.cut
    return found


def find_text(walk: Walk, text: str, pattern: str) -> Found:
    """Lines that hold `text`, case ignored, in one file or in those below the root whose names fit the pattern."""
    found = Found()
    wanted = text.strip().casefold()
    single, skipped = not walk.root.is_dir(), 0
    for path in [walk.root] if single else walk.files():
        name = path.name if single else _relative(path, walk.root)
        if pattern and not _fits(name, pattern):
            continue
        lines = _lines(path, MOST_ALONE if single else MOST_SEARCHED)
        skipped += lines is None
        for number, line in enumerate(lines or (), 1):
            if wanted not in line.casefold():
                continue
            if len(found.rows) == MOST_FOUND:
                found.cut = f"only the first {MOST_FOUND} lines are shown; search for more words or in a smaller folder"
                return found
            shown = _around(line, wanted)
            found.rows.append({"file": visible(name), "line": number, "text": shown})
            found.lines.append(f"{visible(name)}:{number}: {shown}")
        if walk.stopped.is_set():
            return found
    found.cut = walk.cut or (f"{skipped} too large to be searched" if skipped else "")
    return found


def _relative(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _fits(name: str, pattern: str) -> bool:
    name, pattern = name.casefold(), pattern.casefold().removeprefix("./").removeprefix("**/")
    short = name.rpartition("/")[2]
    if any(sign in pattern for sign in "*?["):
        return fnmatch.fnmatchcase(name if "/" in pattern else short, pattern)
    return pattern in name


def _lines(path: Path, largest: int) -> list[str] | None:
    """The lines of a text, none of what is no text, None where it is larger than that."""
    try:
        found = path.lstat()
        if found.st_size > largest:
            return None
        with opened(Reached(path, "", (found.st_dev, found.st_ino))) as file:
            content = decoded(file.read(largest))
    except (OSError, UsageError):
        # Gone, or not to be read by this user: there is nothing to find in it.
        return []
    return content.text.split("\n") if content is not None else []


def _around(line: str, wanted: str) -> str:
    """The part of a long line that holds what was looked for."""
    place = max(line.casefold().find(wanted) - WIDTH // 3, 0) if len(line) > WIDTH else 0
    return ("…" if place else "") + one_line(line[place:], WIDTH)
