"""The model reads a file, draws what it describes and writes a summary, and asks first where it acts."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import OptionList

import chatapp_llama
import chatapp_tools
from chatapp import Host, Media, Message, ToolCall, commands
from chatapp.consent import Ask
from chatapp.testing import RecordingUI, ScriptedEngine, make_host
from chatapp.tui.screens.permit import Permit
from tests.plugins.images_scripted import Painters, ScriptedPainter

from .support import Running, running

README = "# Comet\n\nComet copies files between machines.\n\n## Logo\n\nA blue fish.\n"
QUESTION = "What is in README of this folder? Draw me the logo it describes and save a summary to notes.md"
TOOLS = ("read_file", "draw", "write_file")


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a README."""
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "README.md").write_text(README, encoding="utf-8")
    monkeypatch.chdir(folder)
    return folder


def host_with(folder: Path, painter: ScriptedPainter, **engine: Any) -> Host:
    """A host with the tools, a painter, and llama.cpp or the scripted engine."""
    host = make_host(folder, RecordingUI(), **engine)
    for name, module in (("chatapp", commands), ("llama", chatapp_llama), ("tools", chatapp_tools)):
        host.add(name, module)
    host.add("images", Painters(painter))
    return host


async def allowed(chat: Running) -> list[Ask]:
    """Allow once whatever is asked, to the end of the turn, however long the model takes; what was asked."""
    asks = []
    while not chat.settled:
        permit = chat.app.screen
        if isinstance(permit, Permit) and permit.query(OptionList) and permit.query_one(OptionList).has_focus:
            asks.append(permit._ask)
            await chat.press("home", "enter")
            while chat.app.screen is permit:  # noqa: ASYNC110 (what is waited for is on the screen, which sets no event)
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.02)
    return asks


async def asked(chat: Running, text: str) -> None:
    """Send a text and do not wait for what comes of it."""
    chat.chat.composer.put(text)
    chat.chat.composer.submit()
    await chat.handled(chat.chat.composer)


def calls(chat: Running) -> list[str]:
    """The tools that were called, in order."""
    path = chat.chat.session.conversation.path()
    return [part.name for message in path for part in message.parts if isinstance(part, ToolCall)]


def results(chat: Running) -> list[Message]:
    """What the tools told."""
    return [message for message in chat.chat.session.conversation.path() if message.role == "tool"]


async def through(chat: Running, painter: ScriptedPainter, work: Path) -> list[Ask]:
    """Ask, allow all, and see that a picture and a file came of it, each asked for and recorded; what was asked."""
    await chat.send(f"/tools {' '.join(TOOLS)}")
    await asked(chat, QUESTION)
    asks = await allowed(chat)
    made = calls(chat)
    assert made[0] == "read_file", "nothing is drawn or written before the file was read"
    assert list(dict.fromkeys(made)) == list(TOOLS)
    pictures = [part for message in results(chat) for part in message.parts if isinstance(part, Media)]
    assert [Path(picture.path).is_file() for picture in pictures] == [True]
    assert (work / "notes.md").read_text(encoding="utf-8").strip()
    records = [message.meta["consent"] for message in results(chat) if "consent" in message.meta]
    assert [each["question"] for each in records] == [ask.question for ask in asks]
    assert all((each["permission"], each["by"]) == ("once", "user") and each["when"] for each in records)
    kept = chat.chat.session.host.archive.load(chat.chat.session.conversation.id)
    assert [message.meta["consent"] for message in kept.path() if "consent" in message.meta] == records
    assert [ask.question.split()[0] for ask in asks[:2]] == ["Let", "Create"]
    assert asks[1].shown_as == "diff"
    return asks


async def test_what_acts_waits_for_what_was_read_and_asks_first(tmp_path: Path, work: Path) -> None:
    painter, engine = ScriptedPainter(), ScriptedEngine()
    reads = ToolCall("1", "read_file", {"path": "README.md"})
    draws = [
        ToolCall(str(number), "draw", {"prompt": what}) for number, what in ((2, "a red apple"), (3, "a blue fish"))
    ]
    writes = ToolCall("4", "write_file", {"path": "notes.md", "text": "Comet copies files between machines.\n"})
    engine.says([reads, draws[0], writes], [draws[1], writes], "Comet copies files; its logo is a blue fish.")
    host = host_with(tmp_path, painter, scripted=engine)
    async with running(tmp_path, host=host, engine=engine) as chat:
        assert len(await through(chat, painter, work)) == 2
        assert painter.requests[0].prompt == "a blue fish", "not what was made up before the file was read"
        await chat.shows("its logo is a blue fish")


async def with_model(folder: Path, work: Path, model: Path) -> tuple[list[Ask], str]:
    """What was asked, and what was to be drawn, where a real model answers."""
    painter = ScriptedPainter()
    host = host_with(folder, painter, model=str(model), engine="llama")
    async with running(folder, host=host) as chat:
        sampling = {"temperature": 0.0, "repeat_penalty": 1.0, "max_tokens": 200}
        chat.chat.session.values["sampling"] = sampling
        return await through(chat, painter, work), painter.requests[0].prompt


async def test_a_very_small_model_gets_to_the_end_too(tmp_path: Path, work: Path, model_path: Path) -> None:
    # It calls the right tools and is kept from doing so for ever; what it has drawn and written makes little sense.
    asks, _ = await with_model(tmp_path, work, model_path)
    assert len(asks) <= 3


@pytest.mark.long
async def test_the_usual_model_reads_draws_and_writes_with_two_consents(
    tmp_path: Path, work: Path, usual_model_path: Path
) -> None:
    asks, drawn = await with_model(tmp_path, work, usual_model_path)
    assert len(asks) == 2
    assert "blue fish" in drawn
    assert "copies files" in (work / "notes.md").read_text(encoding="utf-8")
