"""Walking through folders: bounded, following no links, leaving out what Git ignores and what may hold secrets."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from chatapp_tools.access import is_secret

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

MOST = 50_000
"""Entries that are looked at."""
SECONDS = 10.0
SKIPPED = frozenset({".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".mypy_cache", ".tox"})
_LARGEST_RULES = 1_000_000


class Walk:
    """A walk through all below `root`, not into the folders `without`; `stopped` ends it from another thread, `cut`
    says that not all was seen."""

    def __init__(self, root: Path, without: tuple[Path, ...] = ()) -> None:
        self.root = root
        self._without = without
        self.stopped = threading.Event()
        self.cut = ""
        self._seen = 0
        self._until = time.monotonic() + SECONDS

    def files(self) -> Iterator[Path]:
        """The regular files, folder by folder, those of the upper folders first."""
        waiting = [(self.root, self._above())]
        for folder, above in waiting:
            rules = [*above, *_rules(folder)]
            for entry in _entries(folder):
                self._seen += 1
                if self.stopped.is_set() or self._over():
                    return
                path = Path(entry.path)
                is_folder = entry.is_dir(follow_symlinks=False)
                if is_secret(Path(path.name)) or _ignored(path, is_folder, rules):
                    continue
                if is_folder and entry.name not in SKIPPED and path not in self._without:
                    waiting.append((path, rules))
                elif entry.is_file(follow_symlinks=False):
                    yield path

    def _over(self) -> bool:
        if self._seen > MOST:
            self.cut = f"only the first {MOST:,} entries were looked at"
        elif time.monotonic() > self._until:
            self.cut = f"stopped after {SECONDS:g} seconds"
        return bool(self.cut)

    def _above(self) -> list[tuple[Path, GitIgnoreSpec]]:
        """The rules of the folders above, up to the root of the repository, if there is one."""
        chain = [self.root]
        while not (chain[-1] / ".git").exists():
            if chain[-1] == chain[-1].parent:
                return []
            chain.append(chain[-1].parent)
        return [rule for folder in reversed(chain[1:]) for rule in _rules(folder)]


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError:
        # A folder that cannot be opened, or is gone by now, has nothing for us.
        return []


def _rules(folder: Path) -> list[tuple[Path, GitIgnoreSpec]]:
    path = folder / ".gitignore"
    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST_RULES:
            return []
        from pathspec import GitIgnoreSpec

        return [(folder, GitIgnoreSpec.from_lines(path.read_text(encoding="utf-8", errors="replace").splitlines()))]
    except (OSError, ValueError, ModuleNotFoundError):
        # Rules that cannot be read or understood leave out nothing, as for Git.
        return []


def _ignored(path: Path, folder: bool, rules: list[tuple[Path, GitIgnoreSpec]]) -> bool:
    for base, spec in reversed(rules):
        said = spec.check_file(path.relative_to(base).as_posix() + ("/" if folder else "")).include
        if said is not None:
            return said
    return False
