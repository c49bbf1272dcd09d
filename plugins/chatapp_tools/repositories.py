"""What a git repository has git do on its own: programs that its settings or hooks name run even when git only reads.

A folder somebody sent may be such a repository. Settings of the user's own, for all repositories, are trusted.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from chatapp import one_line
from chatapp_tools.processes import clean_environment

OVERRIDES: Mapping[str, str] = {"core.fsmonitor": "false", "core.pager": "cat"}
"""Settings that hold for every git we start, whatever a repository says; those of submodules too."""
PLAIN = re.compile(
    r"core\.(repositoryformatversion|filemode|bare|logallrefupdates|ignorecase|precomposeunicode|symlinks|autocrlf"
    r"|eol|safecrlf|quotepath|abbrev)"
    r"|user\.(name|email)|init\.defaultbranch|pull\.(rebase|ff)|push\.(default|autosetupremote|followtags)"
    r"|remote\..+\.(url|pushurl|fetch|tagopt|gh-resolved)|branch\..+\.(remote|merge|rebase|description|vscode-merge-base)"
    r"|gc\.\w+|color\.\w+|fetch\.prune|rerere\.enabled|lfs\.repositoryformatversion"
)
"""Settings, in lower case, with which git reads and starts nothing; every other one of a repository's own counts."""
READING_HOOK = "post-index-change"
"""The one hook that reading may run: `git status` writes down what it found."""
SECONDS = 10
_SHOWN = 3


def with_overrides(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment with `OVERRIDES` for git, in place of settings it brought (git-config(1), GIT_CONFIG_COUNT)."""
    kept = {name: value for name, value in environ.items() if not name.startswith("GIT_CONFIG_")}
    for place, (name, value) in enumerate(OVERRIDES.items()):
        kept |= {f"GIT_CONFIG_KEY_{place}": name, f"GIT_CONFIG_VALUE_{place}": value}
    # Without locks git leaves the index as it is, so that most reading runs no hook.
    return {**kept, "GIT_CONFIG_COUNT": str(len(OVERRIDES)), "GIT_OPTIONAL_LOCKS": "0"}


def command_environment() -> dict[str, str]:
    """The environment of a command: without secrets, and with `OVERRIDES`."""
    return with_overrides(clean_environment(os.environ))


def objection(folder: Path, *, writing: bool = False) -> str:
    """What speaks against running git in `folder` unasked, as the end of "Beware: …"; empty where nothing does.

    Where git may be `writing`, every hook counts. Starts git up to three times, in ways that run nothing of the
    repository's. Blocks.
    """
    environ = command_environment()
    git = shutil.which("git", path=environ.get("PATH"))
    if git is None:
        return ""
    try:
        place = _asked(git, folder, environ, "rev-parse", "--git-path", "hooks")
        if place is None:
            # No repository, or somebody else's: git does nothing here.
            return ""
        return _programs(git, folder, environ, _hooks(folder / place.rstrip("\n"), writing))
    except (OSError, subprocess.TimeoutExpired):
        return "this git repository cannot be looked at, and may run programs of its own"


def _programs(git: str, folder: Path, environ: Mapping[str, str], hooks: Sequence[str]) -> str:
    settings = _asked(git, folder, environ, "config", "--list", "--show-scope", "--includes", "-z")
    files = _asked(git, folder, environ, "ls-files", "--stage", "-z")
    if settings is None or files is None:
        return "this git repository cannot be looked at, and may run programs of its own"
    # Scope, then key and value, each ended by a zero byte.
    pairs = settings.split("\0")
    own = [key.partition("\n")[0] for scope, key in zip(pairs[::2], pairs[1::2], strict=False) if scope in _OWN]
    strange = sorted({key for key in own if not PLAIN.fullmatch(key.lower())})
    if strange:
        return f"this git repository has settings of its own that may run programs ({_named(strange)})"
    if hooks:
        return f"this git repository runs a program of its own (its hook {_named(hooks)})"
    if any(line.startswith("160000 ") for line in files.split("\0")):
        return "this git repository has others in it, whose settings may run programs"
    return ""


def _hooks(folder: Path, writing: bool) -> list[str]:
    """The hooks that run; samples are none."""
    found = sorted(each.name for each in folder.glob("*") if "." not in each.name and os.access(each, os.X_OK))
    return [name for name in found if writing or name == READING_HOOK]


def _named(names: Sequence[str]) -> str:
    return ", ".join(one_line(each, 60) for each in names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


_OWN = frozenset({"local", "worktree"})


def _asked(git: str, folder: Path, environ: Mapping[str, str], *arguments: str) -> str | None:
    """What git prints; None where it refuses."""
    done = subprocess.run(
        [git, *arguments],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None
