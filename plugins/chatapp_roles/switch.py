"""Which role a conversation is in, and what the model has to be told about it.

The first role of an empty conversation is the `base`: its instructions stand at the prompt's beginning and stay there,
as whatever changes there makes the engine read everything again. A role chosen later is told beside the user's next
message, where it stays in later prompts; `home` says that the base is in force, which needs no telling until another
role was told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from chatapp import Conversation, Message, Session
from chatapp_roles.files import Role

LISTS = ("adapters", "documents", "tools")
"""What a role asks other plugins to switch on."""


def current(session: Session) -> Mapping[str, Any]:
    """The role in force: name, title, switch, home, sampling; empty where none was ever chosen."""
    chosen: Mapping[str, Any] = session.values.get("roles.current", {})
    return chosen


def choose(session: Session, role: Role, given: Mapping[str, str], *, fresh: bool) -> None:
    """Put the role in force; `fresh` while nothing has been said, which makes it the base.

    Raises UsageError with nothing changed when the role's variables are not all there.
    """
    prompt = role.prompt(given)
    values = session.values
    examples = [[each.user, each.assistant] for each in role.file.examples]
    stand = {"name": role.name, "title": role.title, "prompt": prompt, "examples": examples}
    if fresh:
        values["roles.base"] = stand
    home = values.get("roles.base") == stand
    values["roles.current"] = {
        "name": role.name,
        "title": role.title,
        "switch": _back(role) if home else _told(role, prompt),
        "home": home,
        "sampling": role.file.sampling.model_dump(exclude_defaults=True),
    }
    for each in LISTS:
        values[f"roles.{each}"] = list(getattr(role.file, each))
    session.status["roles"] = role.title


def leave(session: Session, *, fresh: bool) -> str:
    """Take no role from now on; the title of the one left, "" where there was none."""
    values = session.values
    title = str(current(session).get("title", ""))
    if fresh:
        values.pop("roles.base", None)
    told = f"From now on answer as yourself again, no longer as the {title}; its instructions no longer hold."
    if title or fresh:
        values["roles.current"] = {"name": "", "title": "", "switch": told, "home": "roles.base" not in values}
    for each in LISTS:
        values.pop(f"roles.{each}", None)
    session.status.pop("roles", None)
    return title


def _told(role: Role, prompt: str) -> str:
    parts = [f"{role.file.switch.replace('{title}', role.title)}\n{prompt}"]
    for example in role.file.examples:
        parts.append(f"Example question: {example.user}\nExample answer: {example.assistant}")
    return "\n\n".join(parts)


def _back(role: Role) -> str:
    # The instructions are at the beginning still; the description is enough to call them to mind.
    told = role.file.switch.replace("{title}", role.title)
    return f"{told} {role.file.description} The instructions at the beginning hold again."


def missing(session: Session, messages: Iterable[Message]) -> str:
    """What the model must be told so that the current role is in force after these messages; "" for nothing."""
    chosen = current(session)
    if not chosen:
        return ""
    last = _last_told(list(messages), session.values.get("roles.said", []))
    there = chosen["home"] if last is None else last == chosen["switch"]
    return "" if there else str(chosen["switch"])


def _last_told(messages: Sequence[Message], said: Iterable[str]) -> str | None:
    """The switch that these messages tell last."""
    for message in reversed(messages):
        places = [(message.context.rfind(text), len(text), text) for text in said if text in message.context]
        if places:
            return max(places)[2]
    return None


def note_said(session: Session, text: str) -> None:
    """Remember a switch that is told, so that it is found again in the messages."""
    said = session.values.setdefault("roles.said", [])
    if text not in said:
        said.append(text)


def before(session: Session, newest: str) -> list[Message]:
    """The messages the model will read before the newest one, as far as is known before the prompt is laid out."""
    conversation: Conversation = session.conversation
    path = list(conversation.path())
    ids = [message.id for message in path]
    first = session.values.get("first_kept")
    start = ids.index(first) if first in ids else 0
    return [
        message
        for place, message in enumerate(path)
        if message.id != newest and (place >= start or conversation.node(message.id).pinned)
    ]
