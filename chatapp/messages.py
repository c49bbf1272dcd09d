"""Messages and the parts they are made of: frozen values, safe to share, compare, pickle and store as JSON."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


def new_id() -> str:
    """A random identifier of 12 hexadecimal digits, unique in any one archive."""
    return secrets.token_hex(6)


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text or Markdown, as the user wrote it or the model answered it."""

    text: str
    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What a model thought before it answered; never part of a later prompt.

    `seconds` is the wall time it took and `tokens` its length, both None when unknown.
    """

    text: str
    seconds: float | None = None
    tokens: int | None = None
    kind: Literal["reasoning"] = "reasoning"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for the action `name`; `arguments` is the JSON object it gave, already parsed."""

    id: str
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    kind: Literal["tool_call"] = "tool_call"


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the action answered to the call `call_id`; `text` is what the model is told."""

    call_id: str
    name: str
    text: str
    failed: bool = False
    kind: Literal["tool_result"] = "tool_result"


@dataclass(frozen=True, slots=True)
class Media:
    """A file beside the conversation: a picture, a sound. `alt` is a sentence for those who cannot see it."""

    path: str
    mime: str
    alt: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    kind: Literal["media"] = "media"


@dataclass(frozen=True, slots=True)
class Source:
    """A passage given to the model: an attached file or a retrieved chunk.

    `uri` is where it is from, `locator` the place inside (``page 3``, ``lines 10-42``), `number` the citation [n]
    that stands for it, `score` the retriever's own (higher is nearer), None when it was attached by hand. `before` and
    `after` are the text around the passage, for a reader who opens it; the model is never sent them.
    """

    title: str
    text: str
    uri: str = ""
    locator: str = ""
    number: int | None = None
    score: float | None = None
    before: str = ""
    after: str = ""
    kind: Literal["source"] = "source"


@dataclass(frozen=True, slots=True)
class Data:
    """A JSON value for a plugin's own renderer. `name` says whose (``rag.stats``), `text` is its plain form."""

    name: str
    value: Any
    text: str = ""
    kind: Literal["data"] = "data"


Part: TypeAlias = Text | Reasoning | ToolCall | ToolResult | Media | Source | Data


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation.

    `context` is what the context hooks laid before this message when it was sent. It is kept with the message because
    later prompts must repeat it byte for byte: the engine reuses only an unchanged prefix. `created` is in seconds
    since 1970; `meta` is JSON and says how an answer came about (model, usage, why it finished, role).
    """

    role: Role
    parts: tuple[Part, ...]
    id: str = field(default_factory=new_id)
    created: float = field(default_factory=time.time)
    context: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The message's Text parts, joined; without reasoning, sources and tool traffic."""
        return "".join(part.text for part in self.parts if isinstance(part, Text))


def user(text: str, *parts: Part) -> Message:
    """A user's message of `text` and whatever is attached to it."""
    return Message("user", (Text(text), *parts))


def assistant(text: str, **meta: Any) -> Message:
    """An assistant's message of plain text."""
    return Message("assistant", (Text(text),), meta=meta)


def chat_text(message: Message) -> str:
    """What the model reads for this message: its context, then what is attached, then its text; no reasoning.

    Attached text is fenced and labelled, and cannot close its own fence: what a document says is data. The sources of
    an answer are what it cited, which is in the conversation already. Of a picture the model reads what its `alt` says.
    """
    parts = [message.context] if message.context else []
    for part in message.parts:
        if isinstance(part, Source) and message.role != "assistant":
            where = f' from="{part.locator}"' if part.locator else ""
            inside = part.text.replace("</document", "<\\/document")
            parts.append(f'<document title="{part.title}"{where}>\n{inside}\n</document>')
        elif isinstance(part, ToolResult):
            parts.append(part.text)
        elif isinstance(part, Media):
            parts.append(part.alt)
    parts.append(message.text)
    return "\n\n".join(text for text in parts if text)
