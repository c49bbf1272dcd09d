r"""The Markdown export: the shown path as a page to read, with comments that let it be imported again.

Each part goes under a marker line, an HTML comment that no reader sees: ``<!-- chatapp: text -->``. Markers carry as
JSON what the page does not show. A line of content that looks like a marker gets a backslash before it, and one that
has backslashes before such a look-alike one more, so that taking one away gives the text back exactly. Texts and
reasoning are read from the page itself, so they may be edited in it; all else is read from the markers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from chatapp.codec import dump_message, dump_part, load_message
from chatapp.conversation import Conversation, Node
from chatapp.errors import ArchiveError
from chatapp.jsonvalue import check_flag, decode, encode
from chatapp.messages import Message, Part, Reasoning, Text
from chatapp.text import one_line, visible
from chatapp.transfer.head import check_length, dump_head, load_head
from chatapp.transfer.show import close_fence, show_part

_START = "<!-- chatapp:"
_MARKER = re.compile(rf"^{_START}(.*)$", re.MULTILINE)
_LOOKALIKE = re.compile(rf"^(\\*){_START}", re.MULTILINE)
_NAME = re.compile(r" ([a-z]+)(?: (\{.*\}))? -->")
_HEADINGS = {"system": "System", "user": "You", "assistant": "Assistant", "tool": "Tool"}
_FOLD = ("<details>\n<summary>", "</summary>\n\n", "\n\n</details>")


def to_markdown(conversation: Conversation) -> str:
    """The shown path as Markdown, with every control character made visible.

    Reasoning is folded away, media are links, sources are listed. Raises ArchiveError if a value is no JSON.
    """
    sections = [
        _section("conversation", dump_head(conversation), f"# {one_line(conversation.title, 200) or 'Conversation'}")
    ]
    for message in conversation.path():
        sections += _message_sections(message, conversation.nodes[message.id].pinned)
    return "".join(sections) + f"{_START} end -->\n"


def from_markdown(text: str) -> Conversation:
    """The conversation that `to_markdown` wrote: its shown path, as a tree without branches; raises ArchiveError."""
    check_length(text)
    sections = _sections(text.replace("\r\n", "\n"))
    first, head, _ = next(sections, ("", {}, ""))
    if first != "conversation":
        raise ArchiveError("This is no conversation that chatapp exported; choose a file that an export wrote.")
    conversation = load_head(head)
    for raw in _messages(sections):
        pinned = check_flag(raw.pop("pinned", False), "A message's pin")
        _append(conversation, load_message(raw), pinned)
    return conversation


def is_markdown(text: str) -> bool:
    """Whether `text` begins as `to_markdown`'s does."""
    return text[:1000].lstrip("\ufeff \t\r\n").startswith(_START)


def _message_sections(message: Message, pinned: bool) -> Iterator[str]:
    raw = dump_message(message)
    del raw["parts"]
    yield _section("message", raw | {"pinned": pinned}, f"## {_HEADINGS[message.role]}")
    for part in message.parts:
        yield _part_section(part)


def _part_section(part: Part) -> str:
    """A part with its marker: texts and reasoning are kept by the page itself, the others whole by the marker."""
    if not isinstance(part, Text | Reasoning):
        return _section("part", dump_part(part), show_part(part))
    shown = visible(part.text)
    closed, fence = close_fence(shown)
    data = {name: value for name, value in dump_part(part).items() if name not in ("kind", "text")}
    data |= {"fence": fence} if fence else {}
    data |= {"text": part.text} if shown != part.text else {}
    if isinstance(part, Reasoning):
        seconds = "" if part.seconds is None else f" ({part.seconds:.1f} s)"
        closed = f"{_FOLD[0]}Reasoning{seconds}{_FOLD[1]}{closed}{_FOLD[2]}"
    return _section(part.kind, data, closed)


def _section(name: str, data: dict[str, Any], content: str) -> str:
    # An HTML comment ends at the first "-->", wherever it stands, so JSON's strings must not hold one.
    json = f" {encode(data)}".replace("<", "\\u003c").replace(">", "\\u003e") if data else ""
    guarded = _LOOKALIKE.sub(lambda found: "\\" + found[0], content)
    return f"{_START} {name}{json} -->\n\n{guarded}\n\n"


def _sections(text: str) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Each marker's name and data and the content up to the next; ArchiveError unless the last one is the end's."""
    name, start = "", 0
    data: dict[str, Any] = {}
    for marker in _MARKER.finditer(text):
        if name == "end":
            raise ArchiveError("There is more than one conversation in the file; import them one by one.")
        if name:
            yield name, data, _content(text[start : marker.start()])
        found = _NAME.fullmatch(marker[1].rstrip())
        if found is None:
            raise ArchiveError(f"The file is damaged: its marker {one_line(marker[0], 60)} cannot be read.")
        name, start = found[1], marker.end() + 1
        data = decode(found[2] or "{}", "A marker in the file")
    if name and name != "end":
        raise ArchiveError("The file is cut short: its end mark is missing.")


def _content(framed: str) -> str:
    """What stands between two markers, without the empty lines around it that are ours."""
    content = framed.removeprefix("\n")
    content = content.removesuffix("\n\n") if content.endswith("\n\n") else content.removesuffix("\n")
    return _LOOKALIKE.sub(lambda found: found[0].removeprefix("\\"), content)


def _messages(sections: Iterator[tuple[str, dict[str, Any], str]]) -> Iterator[dict[str, Any]]:
    """The messages as `load_message` takes them, and `pinned`."""
    raw: dict[str, Any] | None = None
    for name, data, content in sections:
        if name == "message":
            if raw is not None:
                yield raw
            raw = data | {"parts": []}
        elif raw is None or name not in ("text", "reasoning", "part"):
            raise ArchiveError(f"The file is damaged: its marker “{one_line(name, 40)}” is out of place.")
        else:
            raw["parts"].append(data if name == "part" else _written(name, data, content))
    if raw is not None:
        yield raw


def _written(kind: str, data: dict[str, Any], content: str) -> dict[str, Any]:
    """A text or reasoning as it stands on the page; its original, if only control characters differ."""
    original, fence = data.pop("text", None), data.pop("fence", "")
    if kind == "reasoning" and _FOLD[1] in content:
        content = content.partition(_FOLD[1])[2].removesuffix(_FOLD[2])
    if isinstance(fence, str) and fence:
        content = content.removesuffix(f"\n{fence}")
    if isinstance(original, str) and visible(original) == content:
        content = original
    return data | {"kind": kind, "text": content}


def _append(conversation: Conversation, message: Message, pinned: bool) -> None:
    """Add after the last message without walking the path, which would make a long import quadratic."""
    nodes = conversation.nodes
    if message.id in nodes:
        raise ArchiveError(f"Message {message.id} is in the file twice, so its place cannot be told.")
    last = next(reversed(nodes), None)
    nodes[message.id] = Node(message, last, pinned=pinned)
    if last is None:
        conversation.roots.append(message.id)
        conversation.chosen_root = message.id
    else:
        nodes[last].children.append(message.id)
        nodes[last].chosen = message.id
