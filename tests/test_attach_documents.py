"""Files that are no text, attached by way of a reader that a plugin offers; here one that does as it is told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chatapp import Progress, Session, Source, UsageError
from chatapp.attach import LARGEST, gather
from chatapp.errors import EngineError
from tests.support_reader import BINARY, ScriptedReader, document


async def test_a_document_is_attached_as_its_text(session: Session, tmp_path: Path) -> None:
    reader = ScriptedReader({'re"port.pdf': "What it says."})
    session.host.add("reading", reader)
    (tmp_path / "notes.txt").write_text("Plain.")
    told: list[Progress] = []
    files = [document(tmp_path, 're"port.pdf'), (tmp_path / "notes.txt", "notes.txt")]
    sources = await gather(session, files, told.append)
    assert sources == (
        Source("re'port.pdf", "What it says.", str(tmp_path / 're"port.pdf'), "3 pages"),
        Source("notes.txt", "Plain.", str(tmp_path / "notes.txt")),
    )
    assert [progress.label for progress in told] == ['Reading re"port.pdf', "Opening the reader", 'Reading re"port.pdf']
    await session.host.shutdown()
    assert reader.closed


async def test_a_file_larger_than_what_is_attached_may_hold_little_text(session: Session, tmp_path: Path) -> None:
    reader = ScriptedReader({"big.pdf": "Little.", "long.pdf": "é" * (LARGEST // 2 + 1)})
    session.host.add("reading", reader)
    big = document(tmp_path, "big.pdf", BINARY + b"\xff" * LARGEST)
    assert [source.text for source in await gather(session, [big], lambda progress: None)] == ["Little."]
    with pytest.raises(UsageError, match=r"^long\.pdf is 1\.0 MB of text, too much to attach \(at most 1\.0 MB\)"):
        await gather(session, [document(tmp_path, "long.pdf")], lambda progress: None)


async def test_what_cannot_be_read_is_one_sentence(session: Session, tmp_path: Path) -> None:
    files = [document(tmp_path, "locked.pdf")]
    with pytest.raises(UsageError, match=r"^locked\.pdf is not a text file, .*: no plugin that reads documents is"):
        await gather(session, files, lambda progress: None)
    reader = ScriptedReader()
    session.host.add("reading", reader)
    with pytest.raises(UsageError, match=r"^locked\.pdf needs a password\.$"):
        await gather(session, files, lambda progress: None)
    await session.host.engines.close()
    reader.failure = "The reader is broken."
    with pytest.raises(EngineError, match=r"^The reader is broken\.$"):
        await gather(session, files, lambda progress: None)


async def test_reading_can_be_stopped(session: Session, tmp_path: Path) -> None:
    reader = ScriptedReader({"slow.pdf": "Late."}, waits=asyncio.Event())
    session.host.add("reading", reader)
    task = asyncio.ensure_future(gather(session, [document(tmp_path, "slow.pdf")], lambda progress: None))
    await reader.began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert reader.stopped == 1
