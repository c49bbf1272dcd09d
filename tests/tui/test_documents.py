"""Documents that are mentioned in a message: read with progress, and not longer than the user waits."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chatapp.messages import Source
from chatapp.testing import ScriptedEngine
from tests.support_reader import ScriptedReader, document

from .support import host_in, running


async def test_a_document_is_read_with_progress_and_attached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    document(tmp_path, "report.pdf")
    reader = ScriptedReader({"report.pdf": "Cats purr."}, waits=asyncio.Event())
    engine = ScriptedEngine()
    host = host_in(tmp_path, engine)
    host.add("reading", reader)
    async with running(tmp_path, host=host, engine=engine) as chat:
        chat.chat.composer.put("What is in @report.pdf")
        chat.chat.composer.submit()
        await chat.shows("Reading report.pdf")
        assert engine.requests == []
        assert reader.waits is not None
        reader.waits.set()
        await chat.until(lambda: chat.settled and len(chat.said) == 2)
        question = next(iter(chat.chat.session.conversation.path()))
        assert [(part.title, part.text) for part in question.parts if isinstance(part, Source)] == [
            ("report.pdf", "Cats purr.")
        ]


async def test_stopped_while_a_document_is_read_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    document(tmp_path, "slow.pdf")
    reader = ScriptedReader({"slow.pdf": "Late."}, waits=asyncio.Event())
    engine = ScriptedEngine()
    host = host_in(tmp_path, engine)
    host.add("reading", reader)
    async with running(tmp_path, host=host, engine=engine) as chat:
        chat.chat.composer.put("What is in @slow.pdf ?")
        chat.chat.composer.submit()
        await chat.until(reader.began.is_set)
        await chat.tap("escape")
        await chat.until(lambda: chat.settled)
        assert reader.stopped == 1
        assert chat.chat.composer.text == "What is in @slow.pdf ?"
        assert chat.said == []
        assert engine.requests == []


async def test_a_document_that_no_plugin_reads_is_said_and_the_message_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    document(tmp_path, "report.pdf")
    async with running(tmp_path) as chat:
        await chat.send("What is in @report.pdf")
        await chat.shows("report.pdf is not a text file")
        await chat.shows("reads documents is loaded")
        assert chat.chat.composer.text == "What is in @report.pdf"
