"""What the tests of experts share: an engine that compares texts by their words, and two experts of the user's."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import chatapp_experts
from chatapp import Action, Data, Session, action, commands, hookimpl
from chatapp.testing import RecordingUI, ScriptedEngine, make_host, script
from tests.plugins.rag_support import BagEmbedder, Bags
from tests.support_plugins import started

COOK, SAIL, NEITHER = "soup bread oven", "wind harbour mast", "quantum gravity"
FILES = {
    "cook": f'description = "{COOK}"\nexamples = ["{COOK} salt"]\n[adapters]\ncook = 0.8\n',
    "sailor": f'description = "{SAIL}"\nexamples = ["{SAIL} rope"]\n[adapters]\nsailor = 1.0\n',
}


@action("lora")
async def lora(session: Session) -> str:
    """Stands for the plugin that knows the adapters."""
    return "Adapters."


class Lora:
    """A plugin with that command."""

    @hookimpl
    def actions(self) -> Iterable[Action]:
        """One."""
        return [lora]


def put_expert(folder: Path, name: str, text: str) -> Path:
    """An expert of the user's below `folder`."""
    path = folder / "config" / "experts" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@asynccontextmanager
async def expert_session(
    folder: Path,
    *,
    embedder: BagEmbedder | None = None,
    engine: ScriptedEngine | None = None,
    plugins: Sequence[tuple[str, Any]] = (("lora", Lora()),),
    own: bool = True,
    **settings: Any,
) -> AsyncIterator[Session]:
    """A started session with the experts plugin and, unless it is None, that embedder; `own` are the user's experts."""
    for name, text in FILES.items() if own else ():
        if not (folder / "config" / "experts" / f"{name}.toml").exists():
            put_expert(folder, name, text)
    host = make_host(folder, RecordingUI(), engine, **settings)
    host.add("chatapp", commands)
    if embedder is not None:
        host.add("bags", Bags(embedder))
    host.add("experts", chatapp_experts)
    for name, module in plugins:
        host.add(name, module)
    async with started(host) as session:
        yield session


def notices(session: Session) -> list[str]:
    """What the user was told."""
    assert isinstance(session.host.ui, RecordingUI)
    return [text for _, text in session.host.ui.notices]


def laid(session: Session) -> dict[str, float]:
    """The adapters that the engine was given last, with their scales."""
    return {each.name: each.scale for each in script(session).configs[-1].adapters}


def line_below(session: Session) -> str:
    """Who gave the last answer, as it stands below it; empty where nothing does."""
    *_, answer = session.conversation.path()
    parts = [part.text for part in answer.parts if isinstance(part, Data) and part.name == "experts.answered"]
    assert len(parts) < 2
    return "".join(parts)


def put_messages(folder: Path, rows: Iterable[tuple[str, str]], name: str = "messages.jsonl") -> Path:
    """A file of labelled messages."""
    path = folder / name
    path.write_text("".join(json.dumps({"text": text, "expert": expert}) + "\n" for text, expert in rows), "utf-8")
    return path
