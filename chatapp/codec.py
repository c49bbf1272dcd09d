"""Messages, parts and events as plain JSON values, and back again with every value checked.

Both directions go through the same table of checks, so that whatever was written can be read: a value that could not
be read again is refused when it is written. Numbers that JSON lacks (NaN, infinities) are written as null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Any, TypeAlias

from chatapp.events import Event, Finished, Notice, Progress, ReasoningDelta, TextDelta, TokenLogprob, Usage
from chatapp.jsonvalue import (
    check_fields,
    check_flag,
    check_id,
    check_json,
    check_list,
    check_number,
    check_object,
    check_text,
    check_time,
    check_whole,
    refuse,
)
from chatapp.messages import Data, Media, Message, Part, Reasoning, Source, Text, ToolCall, ToolResult

Check: TypeAlias = Callable[[Any, str], Any]
_ROLES = ("system", "user", "assistant", "tool")
_UNKNOWN = "unknown."
_MESSAGE_KEYS = frozenset({"id", "role", "parts", "created", "context", "meta"})
_KINDS: dict[str, type[Any]] = {
    "text": Text,
    "reasoning": Reasoning,
    "tool_call": ToolCall,
    "tool_result": ToolResult,
    "media": Media,
    "source": Source,
    "data": Data,
}
_EVENTS: dict[type[Any], str] = {
    **{made: kind for kind, made in _KINDS.items()},
    TextDelta: "text_delta",
    ReasoningDelta: "reasoning_delta",
    Progress: "progress",
    Notice: "notice",
    Usage: "usage",
    Finished: "finished",
}


def dump_message(message: Message) -> dict[str, Any]:
    """The message as a JSON object; ArchiveError when something in it could not be read again."""
    where = "Message " + check_id(message.id, "A message's id")
    parts = check_list(list(message.parts), f"{where}: parts")
    return {
        "id": message.id,
        "role": _check_role(message.role, f"{where}: role"),
        "created": check_time(message.created, f"{where}: created"),
        "context": check_text(message.context, f"{where}: context"),
        "parts": [dump_part(part, f"{where}: parts[{n}]") for n, part in enumerate(parts)],
        "meta": check_object(message.meta, f"{where}: meta"),
    }


def load_message(raw: object) -> Message:
    """The message that `dump_message` wrote, every value checked; `context` and `meta` may be missing.

    Raises ArchiveError in one sentence for wrong types, unknown roles and fields, and absurd sizes. A part of an
    unknown kind is kept, see `load_part`.
    """
    value = check_fields(raw, _MESSAGE_KEYS, "A message")
    name = check_id(value.get("id"), "A message's id")
    where = f"Message {name}"
    parts = check_list(value.get("parts"), f"{where}: parts")
    return Message(
        role=_check_role(value.get("role"), f"{where}: role"),
        parts=tuple(load_part(part, f"{where}: parts[{n}]") for n, part in enumerate(parts)),
        id=name,
        created=check_time(value.get("created"), f"{where}: created"),
        context=check_text(value.get("context", ""), f"{where}: context"),
        meta=check_object(value.get("meta", {}), f"{where}: meta"),
    )


def dump_part(part: Part, where: str = "A part") -> dict[str, Any]:
    """The part as a JSON object; one that `load_part` did not know comes out as it went in."""
    if isinstance(part, Data) and _is_unknown(part):
        return check_object(part.value, where)
    if _KINDS.get(getattr(part, "kind", "")) is not type(part):
        refuse(where, "a part", part)
    checks = _checks(part.kind)
    return {"kind": part.kind} | {
        name: check(getattr(part, name), f"{where}.{name}") for name, (check, _) in checks.items()
    }


def load_part(raw: object, where: str = "A part") -> Part:
    """The part that `dump_part` wrote, every value checked; fields that have a default may be missing.

    A kind that this version does not know loads as ``Data(name="unknown.<kind>", value=raw)``. Raises ArchiveError.
    """
    kind = check_text(raw.get("kind") if isinstance(raw, dict) else None, f"{where}.kind", most=64)
    if kind not in _KINDS:
        return Data(f"{_UNKNOWN}{kind}", check_object(raw, where))
    checks = _checks(kind)
    value = check_fields(raw, {"kind", *checks}, where)
    given = {}
    for name, (check, required) in checks.items():
        if required or name in value:
            given[name] = check(value.get(name), f"{where}.{name}")
    part: Part = _KINDS[kind](**given)
    return part


def dump_event(event: Event) -> dict[str, Any]:
    """The event as one JSON object whose ``event`` is its name in snake_case (``text_delta``, ``tool_call``).

    `Usage` also gives `evaluated_tokens` and `tokens_per_second`; its `spans` and a delta's `logprobs` are left out
    when empty.
    """
    values = {item.name: getattr(event, item.name) for item in fields(event) if item.name != "kind"}
    if isinstance(event, TextDelta):
        values["logprobs"] = [_dump_logprob(logprob) for logprob in event.logprobs]
    elif isinstance(event, Usage):
        values |= {"evaluated_tokens": event.evaluated_tokens, "tokens_per_second": event.tokens_per_second}
    kept = {name: value for name, value in values.items() if value or name not in ("logprobs", "spans")}
    name = _EVENTS[type(event)]
    return {"event": name} | check_object(kept, f"The event {name}")


_BY_TYPE: dict[str, Check] = {
    "str": check_text,
    "bool": check_flag,
    "float | None": check_number,
    "int | None": check_whole,
    "Mapping[str, Any]": check_object,
    "Any": check_json,
}


@cache
def _checks(kind: str) -> dict[str, tuple[Check, bool]]:
    """For each field of this kind of part: its check, by the type in the dataclass, and whether it must be given."""
    return {
        item.name: (_BY_TYPE[str(item.type)], item.default is MISSING and item.default_factory is MISSING)
        for item in fields(_KINDS[kind])
        if item.name != "kind"
    }


def _is_unknown(part: Data) -> bool:
    """Whether `load_part` made this of a kind it did not know, so that it must be written as it was."""
    kind = part.value.get("kind") if isinstance(part.value, Mapping) else None
    return isinstance(kind, str) and kind not in _KINDS and part == Data(f"{_UNKNOWN}{kind}", part.value)


def _check_role(value: Any, where: str) -> Any:
    if value not in _ROLES:
        refuse(where, "one of " + ", ".join(_ROLES), value)
    return value


def _dump_logprob(logprob: TokenLogprob) -> dict[str, Any]:
    return {"token": logprob.token, "logprob": logprob.logprob, "top": logprob.top}
