"""Saving a copy of a picture where the user says."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import shutil
from pathlib import Path

from chatapp import UI, UsageError, visible


async def save_as(ui: UI, path: Path) -> Path | None:
    """Ask where to, and before a file is replaced; the copy, None when given up. Raises UsageError."""
    answer = await ui.prompt("Save the picture as", str(Path.cwd() / path.name))
    if not answer or not answer.strip():
        return None
    target = target_of(answer.strip(), path)
    shown = visible(str(target))
    if await asyncio.to_thread(target.exists):
        if await asyncio.to_thread(_same, target, path):
            raise UsageError(f"{shown} is the picture itself; give another name.")
        if not await ui.confirm(f"Replace {shown}?", "There is a file of that name."):
            return None
    await asyncio.to_thread(copy, path, target)
    ui.notify(f"Saved: {shown}")
    return target


def target_of(written: str, path: Path) -> Path:
    """The file that is meant: "~" is the home, a folder takes the picture's own name, no ending takes its ending."""
    try:
        target = Path(written).expanduser().absolute()
    except RuntimeError as error:
        raise UsageError(f"There is no such home folder: {visible(written)}.") from error
    if written.endswith("/") or target.is_dir():
        return target / path.name
    if target.suffix.lower() not in ("", path.suffix.lower()):
        raise UsageError(f"The picture is a {path.suffix[1:].upper()} file; let the name end in {path.suffix}.")
    return target if target.suffix else target.with_name(target.name + path.suffix)


def copy(path: Path, target: Path) -> None:
    """Copy a file whole or not at all. Blocks. Raises UsageError."""
    part = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(path, part)
        part.replace(target)
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError, ValueError):
            part.unlink(missing_ok=True)
        raise UsageError(_reason(error, path, target)) from error


def _reason(error: Exception, path: Path, target: Path) -> str:
    shown = visible(str(target))
    if not path.exists():
        return f"{visible(str(path))} is gone; the picture was moved or deleted."
    if not target.parent.is_dir():
        return f"There is no folder {visible(str(target.parent))}; make it first or choose another."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full, so {shown} was not saved; free some space and save it again."
    reason = getattr(error, "strerror", None) or error
    return f"{shown} cannot be saved: {reason}; choose another place."


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
