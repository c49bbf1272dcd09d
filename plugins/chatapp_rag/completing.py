"""What the composer offers while `/rag …` is typed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from chatapp import Session

_known: set[str] = set()
"""Names of collections that were seen: completion cannot wait for the store."""


def seen(*names: str) -> None:
    """Offer these names from now on."""
    _known.update(names)


def names(session: Session, prefix: str) -> Iterable[str]:
    """Collections."""
    return sorted(_known)


def paths_below(session: Session, prefix: str) -> Iterable[str]:
    """Files and folders, those hidden left out."""
    folder = Path(prefix or ".").expanduser()
    folder = folder if prefix.endswith("/") or not prefix else folder.parent
    if not folder.is_dir():
        return []
    start = prefix[: prefix.rfind("/") + 1]
    return sorted(f"{start}{each.name}{'/' * each.is_dir()}" for each in folder.iterdir() if each.name[0] != ".")
