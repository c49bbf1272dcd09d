"""Where pictures are kept: one PNG each, named after its prompt, with all that is known of it inside."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import re
import tempfile
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatapp import Conversation, EngineError, Host, Media, UsageError
from chatapp_images.options import ImagesSettings
from chatapp_images.png import read_facts

MIME = "image/png"
LONGEST_NAME = 48


@dataclass(frozen=True, slots=True)
class Kept:
    """A picture that was kept: its file, its facts (empty when it has none), and when it was written (s since 1970)."""

    path: Path
    facts: Mapping[str, Any]
    modified: float


def folder(host: Host) -> Path:
    """Where pictures are kept; it may not be there yet."""
    chosen = host.config(ImagesSettings).folder
    return Path(chosen).expanduser() if chosen else host.paths.data / "pictures"


def pictures(host: Host) -> list[Kept]:
    """All pictures that are kept, newest first."""
    found = [_kept(path) for path in folder(host).glob("*.png") if path.is_file()]
    return sorted(found, key=lambda each: each.modified, reverse=True)


def _kept(path: Path) -> Kept:
    try:
        facts: Mapping[str, Any] = read_facts(path)
    except EngineError:
        # A picture the user put there, or a damaged one: it is shown as far as it goes.
        facts = {}
    return Kept(path, facts, path.stat().st_mtime)


def keep(host: Host, png: bytes, facts: Mapping[str, Any]) -> Path:
    """Write a picture under a new name in the folder of pictures; UsageError in one sentence when that fails."""
    place = folder(host)
    stem = f"{time.strftime('%Y-%m-%d')} {_slug(str(facts.get('prompt', '')))} {facts.get('seed', '')}".strip()
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        for count in range(1, 10_000):
            path = place / (f"{stem}.png" if count == 1 else f"{stem} {count}.png")
            if _written(path, png):
                return path
    except OSError as error:
        raise UsageError(_refused(place, error)) from error
    raise UsageError(f"There are too many pictures called {stem!r} in {place}: move some away.")


def write(path: Path, png: bytes) -> None:
    """Write a picture where the user wants it, over what is there; UsageError in one sentence when that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".chatapp-", delete=False) as file:
            try:
                file.write(png)
                file.flush()
                Path(file.name).replace(path)
            except BaseException:
                Path(file.name).unlink()
                raise
    except OSError as error:
        raise UsageError(_refused(path, error)) from error


def _written(path: Path, png: bytes) -> bool:
    """Write a file that is not there yet, whole or not at all; False when there is one of that name."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(png)
    except BaseException:
        path.unlink()
        raise
    return True


def _refused(path: Path, error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk is full, so the picture was not saved in {path}; free some space and paint it again."
    return f"The picture cannot be saved in {path}: {error.strerror}; choose another place, in images.folder."


def _slug(prompt: str) -> str:
    """The prompt's letters and digits as a name that every file system takes: ``a red apple``."""
    plain = unicodedata.normalize("NFKC", prompt)
    return re.sub(r"\W+", " ", plain).strip()[:LONGEST_NAME].strip() or "picture"


def media(path: Path, facts: Mapping[str, Any]) -> Media:
    """The part that stands for a picture in a conversation; `alt` is what a language model and a log read."""
    return Media(str(path), MIME, f"A picture of {facts.get('prompt') or path.stem}", dict(facts))


def last_picture(conversation: Conversation) -> Media | None:
    """The newest picture of a conversation."""
    parts = [part for message in conversation.path() for part in message.parts]
    shown = [part for part in parts if isinstance(part, Media) and part.mime.startswith("image/")]
    return shown[-1] if shown else None


async def by_digest(host: Host, digest: str) -> bytes | None:
    """The bytes of the kept picture with that SHA-256; None when it is not there any more."""

    def look() -> bytes | None:
        for path in folder(host).glob("*.png"):
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() == digest:
                return data
        return None

    return await asyncio.to_thread(look)
