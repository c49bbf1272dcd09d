"""What the store knows about each model, one small file each, and the trash."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chatapp.models.files import is_sha256, read_json, sync_folder, write_json

FOLDERS = ("blobs", "partial", "locks", "names", "trash", "seen")


@dataclass(frozen=True, slots=True)
class Record:
    """A model file as it was when its SHA-256 was last computed.

    `size` is bytes, `mtime_ns` its time of change in nanoseconds since 1970. `in_place` files are the user's own.
    `origin` says where it came from, for people to read.
    """

    name: str
    path: Path
    size: int
    mtime_ns: int
    sha256: str
    in_place: bool
    origin: str

    def matches(self, path: Path) -> bool:
        """Whether the file at `path` still has the recorded size and time of change."""
        stat = path.stat()
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.mtime_ns)


def record_of(path: Path, name: str, sha256: str, *, in_place: bool, origin: str) -> Record:
    """The record of the file at `path` as it is now."""
    stat = path.stat()
    return Record(name, path, stat.st_size, stat.st_mtime_ns, sha256, in_place, origin)


class Records:
    """The records below the store's `root`; every write is atomic, every unreadable file costs one model only."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        """The names that have a record, readable or not."""
        return sorted(path.stem for path in (self.root / "names").glob("*.json"))

    def get(self, name: str) -> Record | None:
        """The record of `name`; None where there is none or it cannot be read."""
        return self._read(self.file(name))

    def file(self, name: str) -> Path:
        """Where the record of `name` lies."""
        return self.root / "names" / f"{name}.json"

    def all(self) -> Iterator[Record]:
        """Every readable record."""
        for name in self.names():
            if record := self.get(name):
                yield record

    def save(self, record: Record) -> None:
        """Write a record, replacing an older one of the same name."""
        write_json(self.file(record.name), self._values(record))

    def seen(self, path: Path) -> Record | None:
        """What is known of a file that has no name here."""
        return self._read(self._seen_file(path))

    def remember(self, record: Record) -> None:
        """Note a record again after its file was hashed: under its name, or under its path where it has none."""
        if record.name:
            self.save(record)
        else:
            write_json(self._seen_file(record.path), self._values(record))

    def discard(self, name: str) -> int:
        """Move the record of `name` to the trash, with its blob unless another name uses that; return bytes freed."""
        record = self.get(name)
        if record is None:
            self.file(name).unlink(missing_ok=True)
            return 0
        shared = any(other.path == record.path and other.name != name for other in self.all())
        trash = self.root / "trash"
        # First the record and then the blob: a crash between leaves a blob that is found again, not one that is lost.
        self.file(name).replace(trash / f"{time.time_ns()}-{name}.json")
        sync_folder(trash)
        if record.in_place or shared or not record.path.exists():
            return 0
        record.path.replace(trash / record.path.name)
        return record.size

    def trashed(self, name: str | None = None) -> tuple[Path, Record] | None:
        """The newest discarded record (of `name`) and its file."""
        for file in sorted((self.root / "trash").glob("*-*.json"), reverse=True):
            record = self._read(file)
            if record is not None and name in (None, record.name):
                return file, record
        return None

    def bring_back(self, file: Path, record: Record) -> None:
        """Undo `discard` for a pair that `trashed` gave."""
        blob = self.root / "trash" / record.path.name
        if not record.in_place and blob.exists():
            blob.replace(record.path)
        self.save(record)
        file.unlink()

    def purge(self) -> int:
        """Delete everything in the trash; return the bytes freed."""
        freed = 0
        for path in (self.root / "trash").iterdir():
            freed += path.stat().st_size
            path.unlink()
        return freed

    def _values(self, record: Record) -> dict[str, Any]:
        # Blobs are noted relative to the store, so that the whole of it can be moved to another disk.
        path = record.path.relative_to(self.root) if record.path.is_relative_to(self.root) else record.path
        return {**asdict(record), "path": path.as_posix()}

    def _read(self, file: Path) -> Record | None:
        values = read_json(file) or {}
        try:
            record = Record(
                name=str(values["name"]),
                path=self.root / values["path"],
                size=int(values["size"]),
                mtime_ns=int(values["mtime_ns"]),
                sha256=str(values["sha256"]),
                in_place=bool(values["in_place"]),
                origin=str(values["origin"]),
            )
        except (KeyError, TypeError, ValueError):
            return None
        return record if is_sha256(record.sha256) else None

    def _seen_file(self, path: Path) -> Path:
        return self.root / "seen" / f"{hashlib.sha256(str(path).encode()).hexdigest()[:32]}.json"
