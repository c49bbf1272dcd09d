"""Finds the files to read in the given paths, and says why others are left out."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from chatapp_rag.reading.ignoring import Ignored, rules_at
from chatapp_rag.reading.kinds import ending, is_document

_SPECIAL = (
    (stat.S_ISFIFO, "is a named pipe"),
    (stat.S_ISSOCK, "is a socket"),
    (stat.S_ISCHR, "is a device"),
    (stat.S_ISBLK, "is a device"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """A file to read: its absolute path without links, its size in bytes and when it was changed, in nanoseconds."""

    path: Path
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """An entry that is not read. `reason` ends a sentence that begins with its name."""

    path: Path
    reason: str


def walk(paths: Sequence[Path], *, largest: int) -> Iterator[Found | Skipped]:
    """Every file in the given files and folders, once, in the order of names; no file is opened.

    A file given by name is taken whatever it is called; in folders, hidden entries and what ``.gitignore`` files name
    are left out silently. A link is followed only where it ends inside one of the given paths. Files of more than
    `largest` bytes, and all that is no regular file, are `Skipped`. Blocks on the file system.
    """
    return _Walk(paths, largest).run()


class _Walk:
    def __init__(self, paths: Sequence[Path], largest: int) -> None:
        self._paths = [Path.cwd() / path for path in paths]
        self._roots = [path for path in map(_real, self._paths) if path is not None]
        self._largest = largest
        self._seen: set[Path] = set()

    def run(self) -> Iterator[Found | Skipped]:
        for given in self._paths:
            path = _real(given)
            if path is None:
                yield Skipped(
                    given, "there is no such file or folder" if not given.is_symlink() else "is a broken link"
                )
            elif path.is_dir():
                yield from self._folder(path, rules_at(path))
            else:
                yield from self._file(path)

    def _folder(self, folder: Path, rules: Ignored) -> Iterator[Found | Skipped]:
        if folder in self._seen:
            return
        self._seen.add(folder)
        if unnameable := _unnameable(folder):
            yield unnameable
            return
        try:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries)
        except OSError as error:
            yield Skipped(folder, f"cannot be read: {error.strerror or error}")
            return
        for name in names:
            if not name.startswith("."):
                yield from self._entry(folder / name, rules)

    def _entry(self, path: Path, rules: Ignored) -> Iterator[Found | Skipped]:
        real: Path | None = path
        if path.is_symlink():
            real = _real(path)
            if rules.holds(path, False):
                return
            if real is None:
                yield Skipped(path, "is a broken link")
                return
            if not any(real.is_relative_to(root) for root in self._roots):
                yield Skipped(path, "is a link to outside the given folders; name its target to read it")
                return
        assert real is not None
        folder = _is_folder(real)
        if rules.holds(path, folder):
            return
        if folder:
            # Through a link, the rules of the place it leads to hold.
            yield from self._folder(real, Ignored(real, rules) if real == path else rules_at(real))
        else:
            yield from self._file(real)

    def _file(self, path: Path) -> Iterator[Found | Skipped]:
        if path in self._seen:
            return
        self._seen.add(path)
        if unnameable := _unnameable(path):
            yield unnameable
            return
        try:
            facts = path.stat()
        except OSError as error:
            yield Skipped(path, f"cannot be read: {error.strerror or error}")
            return
        reason = self._reason(path, facts)
        yield Skipped(path, reason) if reason else Found(path, facts.st_size, facts.st_mtime_ns)

    def _reason(self, path: Path, facts: os.stat_result) -> str:
        for test, reason in _SPECIAL:
            if test(facts.st_mode):
                return reason
        if not is_document(path.name):
            return f"is no document (.{ending(path.name)})"
        if facts.st_size > self._largest:
            return f"is larger than {_size(self._largest)}"
        return "" if os.access(path, os.R_OK) else "cannot be read: Permission denied"


def _real(path: Path) -> Path | None:
    """Where a path leads in the end; None when that does not exist, or never ends."""
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError):
        return None


def _unnameable(path: Path) -> Skipped | None:
    """What is said of a path that no text can hold: its bytes are no UTF-8. None for all others."""
    written = str(path).encode("utf-8", "backslashreplace").decode()
    return None if written == str(path) else Skipped(Path(written), "has a name that is no UTF-8 text; rename it")


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        # What cannot be asked about is reported where it is looked at as a file.
        return False


def _size(count: int) -> str:
    return f"{count / 1_000_000:,.0f} MB" if count >= 1_000_000 else f"{count:,} bytes"
