"""What the tests of thinking share: a session with the plugin on a scripted engine, which may reason by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chatapp_thinking
from chatapp import EngineInfo, Event, Reasoning, Request, Session, Text, commands
from chatapp.testing import RecordingUI, ScriptedEngine, make_host

QWEN = "{%- if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>{%- endif %}"
STEPS = "1. There are 3 boxes of 4.\n2. 3 * 4 = 12.\nFinal answer: 12 balls"


@dataclass(slots=True)
class Thinker(ScriptedEngine):
    """A scripted engine with a chat template; `opens` is what the template begins the answer with."""

    template: str = QWEN
    opens: str = ""

    @property
    def info(self) -> EngineInfo:
        """The scripted model, with what a GGUF says of itself."""
        details = {"metadata": {"tokenizer.chat_template": self.template}}
        return EngineInfo("scripted", "scripted", self.context_length, frozenset({"tokenize"}), details)

    async def tokenize(self, request: Request) -> list[str]:
        """The words, and what the template begins the answer with."""
        return [*(await ScriptedEngine.tokenize(self, request)), "<assistant>", self.opens]


@asynccontextmanager
async def thinking(folder: Path, engine: ScriptedEngine | None = None, **settings: Any) -> AsyncIterator[Session]:
    """A session on a started host with the plugin."""
    host = make_host(folder, RecordingUI(), engine, **settings)
    host.add("chatapp", commands)
    host.add("thinking", chatapp_thinking)
    await host.startup()
    try:
        yield Session(host)
    finally:
        await host.shutdown()


async def say(session: Session, text: str) -> list[Event]:
    """The events of an answer, or of a command."""
    stream = session.run(text) if text.startswith("/") else session.send(text)
    return [event async for event in stream]


def parts(session: Session) -> tuple[str, str]:
    """(reasoning, text) of the last answer, as it is kept."""
    message = list(session.conversation.path())[-1]
    assert message.role == "assistant"
    thought = [part.text for part in message.parts if isinstance(part, Reasoning)]
    said = [part.text for part in message.parts if isinstance(part, Text)]
    return "|".join(thought), "|".join(said)


def ui(session: Session) -> RecordingUI:
    """The recording UI behind the session."""
    assert isinstance(session.host.ui, RecordingUI)
    return session.host.ui
