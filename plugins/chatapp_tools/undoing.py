"""What files held before a tool wrote them, and `/tools undo`, which brings the last one back."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
import secrets
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from chatapp import Host, Session, UsageError, action, visible, write_private
from chatapp_tools.access import opened_folder
from chatapp_tools.texts import digest

MOST_KEPT = 50
"""Earlier contents that are kept."""


@dataclass(frozen=True, slots=True)
class Before:
    """What the file at `path` held before, None where there was none; `after` names what was written then."""

    path: Path
    data: bytes | None
    after: str


def keep(host: Host, before: Before) -> None:
    """Keep an earlier content, privately; the oldest go. Blocks."""
    data = None if before.data is None else base64.b64encode(before.data).decode()
    text = json.dumps({"path": str(before.path), "data": data, "after": before.after})
    write_private(_folder(host) / f"{time.time_ns():020}.json", text)
    for old in _kept(host)[:-MOST_KEPT]:
        old.unlink(missing_ok=True)


def _folder(host: Host) -> Path:
    return host.paths.data / "tools" / "undo"


def _kept(host: Host) -> list[Path]:
    return sorted(_folder(host).glob("*.json"))


def _last(host: Host) -> tuple[Path, Before]:
    kept = _kept(host)
    if not kept:
        raise UsageError("No tool has written a file that could be brought back.")
    try:
        found = json.loads(kept[-1].read_text(encoding="utf-8"))
        data = None if found["data"] is None else base64.b64decode(found["data"])
        return kept[-1], Before(Path(found["path"]), data, found["after"])
    except (OSError, ValueError, KeyError, TypeError, binascii.Error) as error:
        raise UsageError(f"{kept[-1]} cannot be read: delete it; only undoing that one is lost.") from error


@action("tools undo", shell=False)
async def undo(session: Session) -> str:
    """Bring back what a file held before a tool last wrote one."""
    kept, before = await asyncio.to_thread(_last, session.host)
    path = visible(str(before.path))
    now = await asyncio.to_thread(current, before.path)
    changed = now is None or digest(now) != before.after
    if changed and not await session.ui.confirm(f"{path} changed since the tool wrote it. Bring back the text before?"):
        raise UsageError(f"{path} changed since the tool wrote it and was left as it is.")
    await asyncio.to_thread(put, before.path, before.data, now)
    kept.unlink(missing_ok=True)
    return f"{path} is gone again." if before.data is None else f"{path} is as it was before."


def current(path: Path) -> bytes | None:
    """What is in the file at this real path, None where there is none; UsageError where it cannot be read."""
    try:
        with opened_folder(path.parent) as folder:
            return _read(path.name, folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UsageError(f"{visible(str(path))} cannot be read: {error.strerror}.") from error


def _read(name: str, folder: int) -> bytes | None:
    try:
        file = os.fdopen(os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder), "rb")
    except FileNotFoundError:
        return None
    with file:
        return file.read()


def put(path: Path, data: bytes | None, expected: bytes | None) -> None:
    """Make the file at this real path hold `data`, None: be gone, in one step, its mode kept; folders are made.

    UsageError when it does not hold `expected` (None: is not there) any longer, or cannot be written. Blocks.
    """
    shown = visible(str(path))
    try:
        with opened_folder(path.parent, make=data is not None) as folder:
            if _read(path.name, folder) != expected:
                raise UsageError(f"{shown} changed in the meantime and was not written: read it again.")
            if data is None:
                os.unlink(path.name, dir_fd=folder)
            else:
                _replace(path.name, data, expected is not None, folder)
    except OSError as error:
        raise UsageError(f"{shown} cannot be written: {error.strerror}.") from error


def _replace(name: str, data: bytes, exists: bool, folder: int) -> None:
    fresh = f".{name[:60]}.{secrets.token_hex(6)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(fresh, flags, 0o666, dir_fd=folder), "wb") as file:
            file.write(data)
            if exists:
                _like(os.stat(name, dir_fd=folder, follow_symlinks=False), file.fileno())
        os.replace(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=folder)
        raise


def _like(old: os.stat_result, file: int) -> None:
    """Give the new file the owner and mode of the old one."""
    if os.geteuid() == 0:
        os.fchown(file, old.st_uid, old.st_gid)
    os.fchmod(file, stat.S_IMODE(old.st_mode))
