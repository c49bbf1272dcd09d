"""Golden prompts: what was sent to the model, compared with a file that a person has read."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from chatapp.engine import Request
from chatapp.messages import Message, ToolCall, chat_text
from chatapp.session import Session

UPDATE = "--update-golden"


@dataclass(frozen=True, slots=True)
class Golden:
    """Compares prompts with the files in `folder`; with `update` it writes them. `home` is shown as HOME in them."""

    folder: Path
    home: Path
    update: bool

    def __call__(self, session: Session, name: str, *, replace: Mapping[str, str] | None = None) -> None:
        """Compare what the session sent last with NAME.txt; fail with the difference and what to do.

        `replace` maps regular expressions to what stands in the file in place of what they match: dates, numbers.
        """
        __tracebackhide__ = True
        path = self._path(name)
        sent = self._cleaned(as_text(_latest(session)), replace or {})
        if self.update:
            self.folder.mkdir(parents=True, exist_ok=True)
            path.write_text(sent, encoding="utf-8", newline="\n")
            return
        if not path.exists():
            pytest.fail(
                f"There is no golden prompt {path} yet: run pytest {UPDATE} to write it, read it, and keep it beside "
                f"your tests. What was sent:\n{sent}"
            )
        kept = path.read_text(encoding="utf-8")
        if sent != kept:
            pytest.fail(
                f"What was sent is not what is in {path}:\n{_difference(kept, sent)}\n"
                f"If it should be so from now on, run pytest {UPDATE} and look at the change before you keep it."
            )

    def _path(self, name: str) -> Path:
        if not re.fullmatch(r"[\w.-]+", name):
            pytest.fail(f"{name!r} cannot be the name of a golden prompt: use letters, digits, dots and dashes.")
        return self.folder / f"{name}.txt"

    def _cleaned(self, text: str, replace: Mapping[str, str]) -> str:
        text = text.replace(str(self.home), "HOME")
        for pattern, instead in replace.items():
            text = re.sub(pattern, instead, text)
        return text


def as_text(request: Request) -> str:
    """A request as text: the names of its tools, then each message below its role."""
    tools = [f"tools: {', '.join(tool.name for tool in request.tools)}\n"] if request.tools else []
    return "\n".join([*tools, *(f"<{message.role}>\n{_read(message)}\n" for message in request.messages)])


def _read(message: Message) -> str:
    """What the model reads for a message, its calls of tools as JSON."""
    calls = [
        f"{part.name}({json.dumps(dict(part.arguments), ensure_ascii=False)})"
        for part in message.parts
        if isinstance(part, ToolCall)
    ]
    return "\n".join([text for text in [chat_text(message)] if text] + calls)


def _latest(session: Session) -> Request:
    if session.turn is None or session.turn.request is None:
        pytest.fail("Nothing was sent to the model yet: send a message before you compare the prompt.")
    return session.turn.request


def _difference(kept: str, sent: str) -> str:
    lines = difflib.unified_diff(kept.splitlines(), sent.splitlines(), "in the file", "sent now", lineterm="")
    return "\n".join(lines)
