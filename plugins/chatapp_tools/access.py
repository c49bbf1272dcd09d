"""Which files the tools may reach: what lies inside the allowed folders, what is secret, what is never opened.

A path is resolved to where it really leads, `..`, `~` and links included, before anything is decided about it. What was
decided holds for that place alone: `opened` walks there folder by folder and follows no link on the way, so that
nothing that is swapped in the meantime leads elsewhere.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from chatapp import Host, Session, UsageError, visible
from chatapp_tools.options import ToolsSettings

NEVER = tuple(map(Path, ("/proc", "/sys", "/dev")))
"""What shows the machine and its processes as files."""
SECRET = re.compile(
    r"\.(ssh|gnupg|aws|azure|kube|docker|password-store|mozilla|thunderbird)|keyrings?|.*\.keychain(-db)?"
    r"|\.env(rc|\.(?!example$|sample$|template$|dist$).*)?|\.netrc|\.pgpass|\.npmrc|\.pypirc|\.htpasswd|\.my\.cnf"
    r"|\.git-credentials|.*_history|id_(rsa|dsa|ecdsa|ed25519).*|.*\.(pem|key|p12|pfx|jks|kdbx?|ppk|asc|gpg)"
    r"|g?shadow-?|(application_default_)?credentials(\.\w+)?|secrets?(\.\w+)?|cookies\.sqlite|logins\.json|\.vault.*",
    re.IGNORECASE,
)
"""Names of files and folders that usually hold keys, passwords or what somebody typed."""
_FOLDER_FLAGS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Reached:
    """Where a path really leads.

    `why` says what speaks against opening it unasked, empty for a file inside an allowed folder. `identity` is the
    device and inode of what is there now, None where nothing is.
    """

    path: Path
    why: str
    identity: tuple[int, int] | None
    folder: bool = False

    @property
    def inside(self) -> bool:
        """Whether it may be read without asking."""
        return not self.why


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a tool was allowed to open: the path as it was `written`, where it led, and the state of the file then."""

    written: str
    reached: Reached
    state: str = ""


_agreed: ContextVar[Agreed | None] = ContextVar("agreed", default=None)
# The consent and the tool that follows it run in one task, so that calls beside each other do not mix.


def agree(agreed: Agreed) -> None:
    """Keep what the user is asked about, so that the tool then opens this and nothing else."""
    _agreed.set(agreed)


def agreed_on(written: str, reached: Reached) -> str:
    """The state of the file that was agreed on; UsageError when `written` leads elsewhere by now.

    Empty where nobody had to agree: the user typed the command.
    """
    agreed = _agreed.get()
    _agreed.set(None)
    if agreed is None or agreed.written != written:
        return ""
    if agreed.reached != reached:
        raise UsageError(f"{visible(written)} changed while permission was asked for: try again.")
    return agreed.state


def reach(session: Session, written: str, base: Path | None = None) -> Reached:
    """Where the path `written` leads, from `base` (None: the current folder); blocks on the file system.

    UsageError for what no tool opens: devices, pipes, sockets, and what the system shows of itself as files.
    """
    shown = visible(written)
    try:
        path = Path(os.path.realpath((base or Path.cwd()) / Path(written or ".").expanduser()))
        found = path.lstat() if os.path.lexists(path) else None
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"{shown} is not a path that can be followed: {error}.") from error
    if any(path == each or each in path.parents for each in NEVER):
        raise UsageError(f"{shown} belongs to the system ({path}) and is not opened: choose another file.")
    if found is None:
        return Reached(path, _objection(session, path), None)
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        raise UsageError(f"{shown} is neither a file nor a folder but a device, pipe, socket or broken link.")
    identity = (found.st_dev, found.st_ino)
    return Reached(path, _objection(session, path), identity, stat.S_ISDIR(found.st_mode))


def _objection(session: Session, path: Path) -> str:
    if is_own(session, path):
        return "it belongs to this application"
    if is_secret(path):
        return "it may hold secrets"
    if not any(path == each or each in path.parents for each in allowed_folders(session.host)):
        return "it is outside the allowed folders"
    return ""


def own_folders(session: Session) -> tuple[Path, ...]:
    """The real paths of this application's own folders: conversations, settings, permissions."""
    places = session.host.paths
    return tuple(Path(os.path.realpath(each)) for each in (places.data, places.config, places.cache))


def is_own(session: Session, path: Path) -> bool:
    """Whether a real path lies in this application's own folders."""
    return any(path == each or each in path.parents for each in own_folders(session))


def is_secret(path: Path) -> bool:
    """Whether a name in the path is one of those that usually hold secrets."""
    return path.parts[-2:] == (".git", "config") or any(SECRET.fullmatch(part) for part in path.parts)


def allowed_folders(host: Host) -> list[Path]:
    """The real paths of the allowed folders; "." is the folder that is the current one now."""
    folders = host.config(ToolsSettings).folders
    return [Path(os.path.realpath(Path.cwd() / Path(each).expanduser())) for each in folders]


def shown_path(path: Path) -> str:
    """A path as it is shown: from the current folder where it lies below it, whole elsewhere."""
    here = Path(os.path.realpath(Path.cwd()))
    return visible(str(path.relative_to(here) if path.is_relative_to(here) else path))


@contextmanager
def opened_folder(path: Path, *, make: bool = False) -> Iterator[int]:
    """A descriptor of the folder at this real path; OSError where one of its parts is no folder but a link.

    `make` makes the folders that are missing.
    """
    here = os.open(path.anchor, _FOLDER_FLAGS)
    try:
        for part in path.parts[1:]:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=here)
            below = os.open(part, _FOLDER_FLAGS, dir_fd=here)
            os.close(here)
            here = below
        yield here
    finally:
        os.close(here)


@contextmanager
def opened(reached: Reached) -> Iterator[BinaryIO]:
    """The file that was reached, for reading; UsageError when it cannot be read or is another one by now."""
    shown = shown_path(reached.path)
    if reached.identity is None:
        raise UsageError(f"There is no file {shown}; list_files shows what is there.")
    if reached.folder:
        raise UsageError(f"{shown} is a folder; list_files shows what is in it.")
    # Not to wait for the other end, should it be a pipe by now.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        with opened_folder(reached.path.parent) as folder:
            file = os.fdopen(os.open(reached.path.name, flags, dir_fd=folder), "rb")
    except OSError as error:
        raise UsageError(f"{shown} cannot be read: {error.strerror}.") from error
    with file:
        found = os.fstat(file.fileno())
        if (found.st_dev, found.st_ino) != reached.identity or not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{shown} changed while it was opened: try again.")
        yield file
