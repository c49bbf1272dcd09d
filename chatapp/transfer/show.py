"""How the parts that are no text look on a Markdown page. Nothing here is read back."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from chatapp.jsonvalue import check_json, encode
from chatapp.messages import Data, Media, Part, Source, ToolCall, ToolResult
from chatapp.text import one_line, visible

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_SAFE_ADDRESS = re.compile(r"(?:https?|file|mailto):|[^:]*$|[^:]*/")
_IN_TARGET = str.maketrans({"<": "%3C", ">": "%3E", "\\": "%5C", "\n": "%0A", "\t": "%09", " ": "%20"})


def show_part(part: Part) -> str:
    """The part as Markdown for a reader, free of control characters; empty for what has nothing to show."""
    show = _SHOWN.get(type(part))
    return "" if show is None else show(part)


def close_fence(text: str) -> tuple[str, str]:
    """`text` with a code block that it leaves open closed, and the line that closes it ('' if there is none).

    An answer stopped in mid-code would otherwise turn the rest of the page into code.
    """
    fence = ""
    for line in text.split("\n"):
        found = _FENCE.fullmatch(line)
        if found is None:
            continue
        if not fence:
            # A backtick in the rest of the line makes it a code span, which opens no block.
            fence = found[1] if found[1][0] == "~" or "`" not in found[2] else ""
        elif found[1].startswith(fence) and not found[2].strip():
            fence = ""
    return (f"{text}\n{fence}", fence) if fence else (text, "")


def _tool_call(part: ToolCall) -> str:
    arguments = encode(check_json(part.arguments, "The arguments"), indent=2)
    return f"**Calls** {_code(part.name)}\n\n{_block(arguments, 'json')}"


def _tool_result(part: ToolResult) -> str:
    return f"**{'Failed' if part.failed else 'Answer of'}** {_code(part.name)}\n\n{_block(part.text)}"


def _media(part: Media) -> str:
    return ("!" if part.mime.startswith("image/") else "") + _link(part.alt or part.path, part.path)


def _source(part: Source) -> str:
    number = "" if part.number is None else f"[{part.number}] "
    locator = f", {one_line(part.locator, 100)}" if part.locator else ""
    title = part.title or part.uri
    return f"> {number}{_link(title, part.uri) if part.uri else _label(title)}{locator}"


def _data(part: Data) -> str:
    return visible(part.text)


_SHOWN: dict[type[Any], Callable[[Any], str]] = {
    ToolCall: _tool_call,
    ToolResult: _tool_result,
    Media: _media,
    Source: _source,
    Data: _data,
}


def _link(label: str, target: str) -> str:
    """A link, or only its label and target as code where the target's scheme could run something."""
    if _SAFE_ADDRESS.match(target) is None:
        return f"{_label(label)} {_code(target)}"
    return f"[{_label(label)}](<{visible(target).translate(_IN_TARGET)}>)"


def _label(text: str) -> str:
    return re.sub(r"([\\\[\]`*_<>])", r"\\\1", one_line(text, 200))


def _code(text: str) -> str:
    return f"`{one_line(text, 500).replace('`', 'ˋ')}`"


def _block(text: str, language: str = "") -> str:
    """A code block whose fence is longer than any run of backticks in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{visible(text)}\n{fence}"
