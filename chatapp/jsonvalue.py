"""Plain JSON values that come from outside: read, checked with one sentence for what is wrong, and written.

Every check takes the value and `where` it stands ("Message 3f2a: meta"), and returns the value or raises ArchiveError.
Numbers that JSON lacks (NaN, infinities) become null.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from chatapp.errors import ArchiveError
from chatapp.text import HIDDEN

MAX_TEXT = 2**25
"""Characters in any one string."""
MAX_ITEMS = 100_000
"""Members of any one list or object inside a message."""
MAX_DEPTH = 100
"""Levels of lists and objects inside a message's own JSON values."""

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}")  # safe as a file's name and as an argument
_LATEST = 253_402_300_799  # the end of the year 9999, where calendars stop


def encode(value: object, indent: int | None = None) -> str:
    """A checked JSON value as text that is safe to store and to show: `HIDDEN` characters are written as escapes."""
    spaces = (",", ":") if indent is None else (",", ": ")
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=spaces, indent=indent)
    return harmless(text)


def harmless(text: str) -> str:
    """JSON text with `HIDDEN` characters as escapes: the same value, and nothing a terminal obeys."""
    return HIDDEN.sub(_escape, text)


def decode(text: str, what: str) -> Any:
    """The JSON value in `text`; ArchiveError says that `what` ("The file") cannot be read, and where it breaks."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ArchiveError(f"{what} is cut short or damaged: it stops being JSON at {place}.") from error
    except RecursionError as error:
        raise ArchiveError(f"{what} is nested too deeply to be a conversation.") from error
    except ValueError as error:
        raise ArchiveError(f"{what} holds a number that JSON does not allow.") from error


def check_text(value: Any, where: str, most: int = MAX_TEXT) -> str:
    """`value` if it is text of at most `most` characters, else ArchiveError."""
    if not isinstance(value, str):
        refuse(where, "text", value)
    if len(value) > most:
        raise ArchiveError(f"{where} is {len(value):,} characters long, and at most {most:,} can be kept.")
    return value


def check_id(value: Any, where: str) -> str:
    """`value` if it is an identifier: 1 to 64 ASCII letters, digits and ``_.:-``; else ArchiveError."""
    if not isinstance(value, str) or _ID.fullmatch(value) is None:
        refuse(where, "1 to 64 letters, digits, dots or dashes", value)
    return value


def check_time(value: Any, where: str) -> float:
    """`value` as seconds since 1970, at most to the year 9999; else ArchiveError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        refuse(where, "a time in seconds since 1970", value)
    return float(value)


def check_flag(value: Any, where: str) -> bool:
    """`value` if it is true or false, else ArchiveError."""
    if not isinstance(value, bool):
        refuse(where, "true or false", value)
    return value


def check_list(value: Any, where: str, most: int = MAX_ITEMS) -> list[Any]:
    """`value` if it is a JSON array of at most `most` items, which are not looked at; else ArchiveError."""
    if not isinstance(value, list):
        refuse(where, "a list", value)
    if len(value) > most:
        raise ArchiveError(f"{where} has {len(value):,} items, and at most {most:,} can be kept.")
    return value


def check_fields(value: Any, known: Collection[str], where: str) -> dict[str, Any]:
    """`value` if it is a JSON object with no other fields than `known`, else ArchiveError; what they hold may be wrong.

    A field this version does not know is refused, since dropping it would lose what a newer one wrote.
    """
    if not isinstance(value, dict):
        refuse(where, "an object", value)
    others = [key for key in value if key not in known]
    if others:
        raise ArchiveError(
            f"{where} has the unknown field {ascii(others[0])[:40]}; a newer chatapp may have written it."
        )
    return value


def check_object(value: Any, where: str) -> dict[str, Any]:
    """A copy of `value` if it is a JSON object through and through, else ArchiveError."""
    if not isinstance(value, Mapping):
        refuse(where, "an object", value)
    copied: dict[str, Any] = check_json(value, where)
    return copied


def check_json(value: Any, where: str, depth: int = 0) -> Any:
    """A copy of `value` in JSON's own types: any mapping as a dict, tuples as lists, NaN and infinities as None."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return check_text(value, where)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int) and value.bit_length() <= 1024:
        return value
    if not isinstance(value, Mapping | list | tuple):
        refuse(where, "a JSON value", value)
    if depth == MAX_DEPTH or len(value) > MAX_ITEMS:
        raise ArchiveError(f"{where} is too deep or too long: {MAX_DEPTH} levels of {MAX_ITEMS:,} items can be kept.")
    if not isinstance(value, Mapping):
        return [check_json(item, where, depth + 1) for item in value]
    return {check_text(key, f"A key in {where}"): check_json(item, where, depth + 1) for key, item in value.items()}


def check_number(value: Any, where: str) -> float | None:
    """`value` if it is a number or null; NaN and infinities become None; else ArchiveError."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e300:
        refuse(where, "a number or null", value)
    return float(value)


def check_whole(value: Any, where: str) -> int | None:
    """`value` if it is a whole number of 64 bits or null, else ArchiveError."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or abs(value) >= 2**63):
        refuse(where, "a whole number or null", value)
    return value


def refuse(where: str, expected: str, value: Any) -> NoReturn:
    """Raise ArchiveError: what stands at `where` is not what was `expected`."""
    shown = "null" if value is None else type(value).__name__
    if isinstance(value, str):
        shown = ascii(value[:60])
    elif isinstance(value, int | float) and abs(value) < 1e300:
        shown = str(value)
    raise ArchiveError(f"{where} should be {expected}, not {shown}.")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _escape(match: re.Match[str]) -> str:
    """One hidden character as JSON's escape: a surrogate pair beyond the first 65,536."""
    code = ord(match.group())
    return f"\\u{code:04x}" if code < 0x10000 else json.dumps(match.group())[1:-1]
