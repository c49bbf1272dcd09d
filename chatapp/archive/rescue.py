"""A broken file of conversations is moved aside, whole, so that the chat can go on and nothing is deleted."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chatapp.archive.schema import Damaged, connect, suspect
from chatapp.errors import ArchiveError
from chatapp.text import visible


def move_aside(path: Path) -> str | None:
    """Rename the broken file to ``NAME.damaged-<date>``; the sentence that tells the user, None if it is sound.

    Looks again once no other process is doing the same: the second of two must not move the first one's fresh file.
    """
    try:
        with _alone(path):
            return _move_if_broken(path)
    except OSError as error:
        reason = f"are damaged and cannot be moved aside: {error.strerror}"
        raise ArchiveError(f"The conversations in {visible(str(path))} {reason}.") from error


def _move_if_broken(path: Path) -> str | None:
    try:
        connect(path).close()
    except Damaged:
        target = _free_name(path)
        _rename(path, target)
        return (
            f"The conversations in {visible(str(path))} were damaged, so they were moved to "
            f"{visible(target.name)} and the chat goes on with an empty file."
        )
    return None


def _rename(path: Path, target: Path) -> None:
    """Move the file and its log, which may hold the newest messages and belongs to it by name."""
    for ending in ("-wal", "-shm"):
        beside = path.with_name(path.name + ending)
        if beside.exists():
            beside.rename(target.with_name(target.name + ending))
    path.rename(target)
    suspect(path).unlink(missing_ok=True)


def _free_name(path: Path) -> Path:
    base = f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}"
    target = path.with_name(base)
    count = 1
    while target.exists():
        count += 1
        target = path.with_name(f"{base}-{count}")
    return target


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock file beside `path`; the lock goes with the process, so that none is ever left behind."""
    import fcntl

    handle = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
