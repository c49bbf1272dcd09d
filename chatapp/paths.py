"""Where chatapp keeps its files: data, cache and settings, in the platform's own places or below ``CHATAPP_HOME``."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chatapp.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Paths:
    """The three folders. None of them need exist before `ensure`.

    `data`: conversations and models; `cache`: what can be made again; `config`: the settings file, `models.toml` and
    the user's own plugins.
    """

    data: Path
    cache: Path
    config: Path

    def ensure(self) -> Paths:
        """Make the folders, for this user alone (mode 0700), and return these paths.

        Raises `SettingsError` where a folder cannot be made.
        """
        for folder in (self.data, self.cache, self.config):
            private_folder(folder)
        return self


def paths(environ: Mapping[str, str] | None = None) -> Paths:
    """The folders for this user; nothing is created.

    ``CHATAPP_HOME`` in `environ` (None: the process's own) puts all three into that one folder as ``data``, ``cache``
    and ``config``.
    """
    home = (os.environ if environ is None else environ).get("CHATAPP_HOME", "")
    if home:
        root = absolute(Path(home))
        return Paths(root / "data", root / "cache", root / "config")
    import platformdirs

    dirs = platformdirs.PlatformDirs("chatapp", appauthor=False)
    return Paths(Path(dirs.user_data_dir), Path(dirs.user_cache_dir), Path(dirs.user_config_dir))


def absolute(path: Path) -> Path:
    """`path` with "~" and relative parts resolved, links kept: a link may be how the user names a thing."""
    return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100  (`resolve` would follow links)


def private_folder(folder: Path) -> Path:
    """Make `folder` and any missing parent with mode 0700, tighten `folder` if it exists, and return it."""
    try:
        for missing in reversed([folder, *folder.parents]):
            if not missing.is_dir():
                missing.mkdir(mode=0o700, exist_ok=True)
        # Windows keeps a user's own profile private already, and its chmod knows only "read-only".
        if sys.platform != "win32" and folder.stat().st_mode & 0o077:
            folder.chmod(0o700)
    except OSError as error:
        raise SettingsError(
            f"chatapp cannot use the folder {folder} ({error.strerror}): set CHATAPP_HOME to a folder you can write to."
        ) from error
    return folder
