"""The trace: each hook call as one line, where ``CHATAPP_TRACE=hooks`` asks for it.

The lines go to standard error, or to the file that ``CHATAPP_TRACE_FILE`` names; the terminal chat, whose screen is on
standard error, has them in a file of its own. They are for whoever writes a plugin, and may be sent to others: what
looks like a password or a key is masked.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chatapp.text import one_line, visible

if TYPE_CHECKING:
    from chatapp.timing import Call

LONGEST_RESULT = 200
"""Cells of a result in a line."""
LONGEST_SECRET = 8
"""Characters a variable's value must have to be masked where it turns up: shorter ones are words like "yes"."""
_NAMED = re.compile(
    r"""((?:api[_-]?key|access[_-]?key|token|secrets?|passwords?|passwd|authorization|credentials?)["']?\s*[:=]\s*["']?)"""
    r"""((?:bearer|basic)\s+)?([^\s"',;)}\]]+)""",
    re.IGNORECASE,
)
_KNOWN = re.compile(r"\b(?:sk|pk|hf|ghp|gho|ghs|glpat|github_pat|xox[abp]|AKIA)[-_]?[A-Za-z0-9_-]{12,}")
_BEARER = re.compile(r"\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_SECRET_VARIABLE = re.compile(r"KEY|TOKEN|SECRET|PASSW", re.IGNORECASE)


class Trace:
    """Where the lines go: the file at `path`, None is standard error."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path

    @classmethod
    def wanted(cls, environ: Mapping[str, str]) -> Trace | None:
        """The trace that these variables ask for, None where they do not."""
        if "hooks" not in re.split(r"[\s,]+", environ.get("CHATAPP_TRACE", "")):
            return None
        path = environ.get("CHATAPP_TRACE_FILE", "")
        return cls(Path(path).expanduser() if path else None)

    def add(self, call: Call, result: Any) -> None:
        """Write a line about a call; its result is masked, made harmless and cut to LONGEST_RESULT."""
        times = f"{call.seconds * 1e3:9.2f} ms, held {call.held * 1e3:7.2f} ms"
        shown = one_line(masked(call.error or f"{call.result}{_detail(result)}"), LONGEST_RESULT)
        line = f"hooks  {call.hook:16}  {visible(call.plugin):10}  {times}  {shown}\n"
        if self.path is None:
            sys.stderr.write(line)
            sys.stderr.flush()
            return
        # For this user alone: what the model read may stand in it.
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            file.write(line)


def masked(text: str) -> str:
    """The text with what looks like a password, a key or a token replaced by ``***``."""
    for secret in _own_secrets():
        text = text.replace(secret, "***")
    text = _NAMED.sub(lambda found: f"{found[1]}{found[2] or ''}***", text)
    return _KNOWN.sub("***", _BEARER.sub(lambda found: f"{found[1]} ***", text))


@cache
def _own_secrets() -> tuple[str, ...]:
    """The values of this process's variables that are named like secrets, longest first."""
    found = {value for name, value in os.environ.items() if _SECRET_VARIABLE.search(name)}
    return tuple(sorted((value for value in found if len(value) >= LONGEST_SECRET), key=len, reverse=True))


def _detail(value: Any) -> str:
    """A result as the trace shows it after its summary; nothing where that says all."""
    if value is None or value == [] or isinstance(value, str):
        return ""
    try:
        return f": {value!r}"
    except Exception as error:  # noqa: BLE001 - a plugin's own repr must not end a turn that is only watched
        return f": ({type(value).__name__}, whose repr raised {type(error).__name__})"
