"""The sets there are: the user's own in the settings folder, and the bundled ones where no own has the name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from chatapp import Host, UsageError, write_private
from chatapp_fewshot.examples import ExampleSet
from chatapp_fewshot.reading import read_set

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
RESERVED = frozenset({"add", "all", "import", "list", "off", "rm", "show", "similar", "undo"})
BUNDLED = Path(__file__).with_name("bundled")
ENDINGS = (".jsonl", ".toml")


class Library:
    """The sets of one user, read anew when their file changed."""

    def __init__(self, host: Host) -> None:
        self.folder = host.paths.config / "fewshot"

    def names(self) -> list[str]:
        """Every set's name, sorted."""
        return sorted({path.stem for folder in (self.folder, BUNDLED) for path in _sets(folder)})

    def find(self, name: str) -> Path:
        """The file of a set; UsageError where there is none of that name."""
        for folder in (self.folder, BUNDLED):
            for path in _sets(folder):
                if path.stem == name:
                    return path
        known = ", ".join(self.names())
        raise UsageError(f"There is no example set {name!r}; there are: {known}. `/shots add {name}` begins one.")

    def exists(self, name: str) -> bool:
        """Whether there is a set of that name."""
        return name in self.names()

    def read(self, name: str) -> ExampleSet:
        """The set of that name; UsageError where it cannot be used."""
        path = self.find(name)
        try:
            status = path.stat()
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror or error}.") from error
        return _read(name, path, status.st_mtime_ns, status.st_size)

    def own(self, name: str) -> Path:
        """The user's own file for that set, to be written: a bundled one is copied first, so that it can be edited."""
        check_name(name)
        if not self.exists(name):
            return self.folder / f"{name}.jsonl"
        path = self.find(name)
        if path.parent == BUNDLED:
            copy = self.folder / path.name
            write_private(copy, path.read_text(encoding="utf-8"))
            return copy
        return path


def check_name(name: str) -> None:
    """UsageError unless a set can be called so."""
    if NAME.fullmatch(name) is None or name in RESERVED:
        raise UsageError(
            f"A set cannot be called {name!r}: take letters, digits, dots and dashes, and no word of /shots."
        )


def line_of(question: str, answer: str) -> str:
    """A pair as a line of a set's file."""
    return json.dumps({"input": question, "output": answer}, ensure_ascii=False) + "\n"


def _sets(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        found = [path for path in folder.iterdir() if path.suffix in ENDINGS and NAME.fullmatch(path.stem)]
        yield from sorted(found, key=lambda path: (path.stem, ENDINGS.index(path.suffix)))


@lru_cache(maxsize=8)
def _read(name: str, path: Path, changed: int, size: int) -> ExampleSet:
    return read_set(name, path, bundled=path.parent == BUNDLED)
