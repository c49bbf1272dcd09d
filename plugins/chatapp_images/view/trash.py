"""Pictures that were deleted and can be brought back: they lie beside the others for a day."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from chatapp import UsageError, visible

FOLDER = ".deleted"
"""Below the folder of pictures."""
SECONDS = 86_400.0
"""How long a deleted picture can be brought back."""


def discard(path: Path) -> Path:
    """Move a picture out of sight; where it lies now. Blocks. Raises UsageError."""
    folder = path.parent / FOLDER
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        target, number = folder / path.name, 1
        while target.exists():
            number += 1
            target = folder / f"{path.stem}-{number}{path.suffix}"
        return path.rename(target)
    except OSError as error:
        reason = f"{error.strerror}" if path.exists() else "it is gone already"
        raise UsageError(f"{visible(str(path))} cannot be deleted: {reason}.") from error


def restore(kept: Path, path: Path) -> None:
    """Bring a picture back to where it was. Blocks. Raises UsageError."""
    try:
        if path.exists():
            raise UsageError(f"There is another {visible(str(path))} now; the deleted one is {visible(str(kept))}.")
        kept.rename(path)
    except OSError as error:
        raise UsageError(f"{visible(str(path))} cannot be brought back: {error.strerror}.") from error


def clean(folder: Path, now: float | None = None) -> int:
    """Remove for good what was deleted over a day ago; how many. Blocks; what cannot be removed is left."""
    removed = 0
    limit = (time.time() if now is None else now) - SECONDS
    for path in (folder / FOLDER).glob("*") if (folder / FOLDER).is_dir() else ():
        # To move a file changes its status, not when its contents were written.
        with contextlib.suppress(OSError):
            if path.is_file() and path.stat().st_ctime < limit:
                path.unlink()
                removed += 1
    return removed
