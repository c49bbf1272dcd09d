"""Text files that people edit: found by name in several folders, and read with a sentence for all that can be wrong."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from chatapp.actions import similar
from chatapp.errors import UsageError
from chatapp.text import visible

LARGEST = 16_000_000
"""Bytes of a file that are read, where a caller sets no other bound."""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_text(path: Path, largest: int = LARGEST, *, keep_ends: bool = False) -> str:
    """The text of a file in UTF-8, or in UTF-16 where it begins with that mark; line ends as ``\\n``.

    With `keep_ends` the line ends stay as they are, for a file that is written back. UsageError with the file, and the
    line where one is at fault: it is no file, unreadable, larger than `largest` bytes, or no text.
    """
    shown = visible(str(path))
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{shown} is not a file; name a text file.")
        with path.open("rb") as file:
            data = file.read(largest + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{shown} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if len(data) > largest:
        raise UsageError(f"{shown} is larger than {_size(largest)}: take out what is not needed.")
    try:
        text = data.decode("utf-16" if data[:2] in UTF_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{shown}, line {line}: this is not UTF-8 text; save the file as UTF-8.") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UsageError(f"{shown}, line {line}: this is not UTF-8 text; save the file as UTF-8.")
    return text if keep_ends else text.replace("\r\n", "\n")


def _size(count: int) -> str:
    return f"{count // 1_000_000} MB" if count >= 1_000_000 else f"{count // 1000} kB"


def named_files(folders: Iterable[Path], endings: Iterable[str], reserved: Collection[str] = ()) -> dict[str, Path]:
    """The file of each name (without its ending), sorted; later folders and endings win, `reserved` names are left out.

    Blocks on the file system; a folder that does not exist holds nothing.
    """
    order = tuple(endings)
    found = {
        path.stem: path
        for folder in folders
        for ending in order
        for path in (folder.glob(f"*{ending}") if folder.is_dir() else ())
        if path.stem not in reserved
    }
    return dict(sorted(found.items()))


def named_file(known: Mapping[str, Path], name: str, what: str) -> Path:
    """The file of that name; UsageError with a near match for none. `what` it is called is also the command's name."""
    if name in known:
        return known[name]
    near = similar(name, known)
    hint = f"did you mean {near!r}?" if near else f"/{what} lists them."
    raise UsageError(f"There is no {what} {name!r}; {hint}")
