"""What ``.gitignore`` files say, as Git reads them: the deeper file decides, its last matching line first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

NAME = ".gitignore"
_LARGEST = 1_000_000


class Ignored:
    """The rules that hold in one folder: those of its own file and, through `above`, of the folders above it."""

    def __init__(self, folder: Path, above: Ignored | None = None) -> None:
        self._folder = folder
        self._above = above
        self._spec = _spec(folder / NAME)

    def holds(self, path: Path, folder: bool) -> bool:
        """Whether the entry at `path`, below this folder, is left out."""
        rules: Ignored | None = self
        while rules is not None:
            said = rules._says(path, folder)
            if said is not None:
                return said
            rules = rules._above
        return False

    def _says(self, path: Path, folder: bool) -> bool | None:
        if self._spec is None:
            return None
        return self._spec.check_file(path.relative_to(self._folder).as_posix() + ("/" if folder else "")).include


def rules_at(folder: Path) -> Ignored:
    """The rules in a folder, with those of the folders above it up to the root of its repository, if it is in one."""
    chain = [folder]
    while not (chain[-1] / ".git").exists() and chain[-1] != chain[-1].parent:
        chain.append(chain[-1].parent)
    rules: Ignored | None = None
    for each in reversed(chain[1:]) if (chain[-1] / ".git").exists() else ():
        rules = Ignored(each, rules)
    return Ignored(folder, rules)


def _spec(path: Path) -> GitIgnoreSpec | None:
    from pathspec import GitIgnoreSpec

    try:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        return GitIgnoreSpec.from_lines(path.read_text(encoding="utf-8", errors="replace").splitlines())
    except (OSError, ValueError):
        # A file of rules that cannot be read or understood has none for us, as for Git.
        return None
