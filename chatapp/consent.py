"""Consent: what a person is asked before a tool runs, what they may answer, and what stays allowed.

Nothing that comes out of a document, a tool or the model can allow anything: permissions are only ever written after a
person answered.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from chatapp.settings import write_private

if TYPE_CHECKING:
    from chatapp.host import Host

Permission: TypeAlias = Literal["once", "conversation", "always", "no"]
"""Now; each time in this conversation; each time for exactly the same thing, in all conversations; not at all."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a person is asked: `question` in one sentence, `detail` exactly what will happen.

    `shown_as` says what the detail is. `dangers` are the parts of it that can do harm, to be marked; where there are
    any, a permission for the whole conversation does not count. `exact` names this very thing for a permission that
    lasts; without it none is offered. `scope` says in words what a permission for the conversation covers ("files
    directly in notes"); without it that is this tool, whatever it is given.
    """

    question: str
    detail: str = ""
    shown_as: Literal["text", "diff", "command"] = "text"
    dangers: tuple[str, ...] = ()
    exact: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the person answered; `why` is a word to the model on a no."""

    permission: Permission
    why: str = ""


def record(tool: str, ask: Ask, decision: Decision, by: str) -> dict[str, Any]:
    """Who allowed what, when, as it is kept with the tool's result; `by` is "user" or "earlier"."""
    kept = {"tool": tool, "question": ask.question, "permission": decision.permission, "by": by, "when": _now()}
    return {**kept, **({"why": decision.why} if decision.why else {})}


class Permissions:
    """What was allowed for longer than once, in a private `file`.

    Not in the conversation itself: an imported one is somebody else's, and must not bring permissions along.
    """

    def __init__(self, file: Path) -> None:
        self._file = file

    @classmethod
    def of(cls, host: Host) -> Permissions:
        """Those of this user."""
        return cls(host.paths.data / "permissions.json")

    def all(self) -> list[dict[str, str]]:
        """Each with "tool", "question", "when" and how long it "lasts"."""
        kept = self._read()
        exact = [{**each, "lasts": "always, exactly this"} for each in kept["exact"].values()]
        covers = ((each.get("scope") or "this tool", each) for each in kept["conversations"].values())
        return [*({**each, "lasts": f"a conversation, {scope}"} for scope, each in covers), *exact]

    def standing(self, conversation: str, tool: str, ask: Ask) -> Permission | None:
        """The permission that already covers this, None when the person must be asked."""
        kept = self._read()
        if ask.exact and _digest(tool, ask) in kept["exact"]:
            return "always"
        if _key(conversation, tool, ask) in kept["conversations"] and not ask.dangers:
            return "conversation"
        return None

    def keep(self, conversation: str, tool: str, ask: Ask, decision: Decision) -> None:
        """Remember what the person allowed for longer than once."""
        kept = self._read()
        entry = {"tool": tool, "question": ask.question, "when": _now()}
        if decision.permission == "conversation":
            kept["conversations"][_key(conversation, tool, ask)] = {**entry, "scope": ask.scope}
        elif decision.permission == "always" and ask.exact:
            kept["exact"][_digest(tool, ask)] = entry
        else:
            return
        write_private(self._file, json.dumps(kept, indent=1))

    def withdraw(self) -> int:
        """Take back all of it; how many permissions there were."""
        kept = self._read()
        self._file.unlink(missing_ok=True)
        return sum(map(len, kept.values()))

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            found = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            # Missing or damaged: nothing is allowed, and the person is asked again.
            found = {}
        tables = found if isinstance(found, dict) else {}
        return {name: dict(tables.get(name) or {}) for name in ("conversations", "exact")}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _key(conversation: str, tool: str, ask: Ask) -> str:
    return f"{conversation} {tool} {ask.scope}".rstrip()


def _digest(tool: str, ask: Ask) -> str:
    return hashlib.sha256(json.dumps([tool, ask.exact]).encode()).hexdigest()
