"""Files of a model by name, size and SHA-256, and whether they are what they should be.

The SHA-256 decides, whoever serves the bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
SHORT = 12
"""Digits of a SHA-256 that tell models apart."""


@dataclass(frozen=True, slots=True)
class Pinned:
    """What a file must be: its size in bytes and its SHA-256."""

    size: int
    sha256: str

    def fits(self, path: Path) -> bool:
        """Whether the file at `path` is this one; reads all of it if the size is right."""
        return path.is_file() and path.stat().st_size == self.size and sha256(path) == self.sha256


def sha256(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def identity(folder: Path) -> str:
    """What the model in `folder` is called wherever its vectors are kept: the folder's name and what its weights are.

    The copy of a model in a folder of that name is the same model.
    """
    weights = [path for pattern in WEIGHTS for path in sorted(folder.rglob(pattern))]
    sums = [sha256(path) for path in weights]
    whole = sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()
    return f"{folder.name}@{whole[:SHORT]}"


def total(files: Mapping[str, Pinned]) -> int:
    """The bytes of all files together."""
    return sum(each.size for each in files.values())


def damaged(folder: Path, files: Mapping[str, Pinned]) -> list[str]:
    """The names of the files that are missing in `folder` or are not what they should be."""
    return [name for name, each in files.items() if not each.fits(folder / name)]


def install(source: Path, folder: Path, files: Mapping[str, Pinned]) -> None:
    """Move verified files from `source`, on the same disk, into `folder`, each in one step and private.

    Other files in `folder` stay as they are.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in files:
        (folder / name).parent.mkdir(mode=0o700, exist_ok=True)
        (source / name).chmod(0o600)
        with (source / name).open("rb") as file:
            os.fsync(file.fileno())
        (source / name).replace(folder / name)
