"""Bad model files, a dying process, a full context, and a busy machine: the llama plugin with the real model."""

from __future__ import annotations

import os
import shutil
import signal
import struct
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from chatapp import Finished, Host, Notice, Session, TextDelta
from chatapp_llama.engine import LlamaEngine
from tests.plugins.real import collect, real_session, sampled, text_of, usage_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def session(real_host: Host) -> Session:
    """A conversation of its own with the real model."""
    return sampled(Session(real_host), max_tokens=8)


def _gguf(path: Path, architecture: str) -> Path:
    """A GGUF (version 3) without tensors that says nothing but its architecture."""
    key, value = b"general.architecture", architecture.encode()
    text = struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, len(value)) + value
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text)
    return path


def _truncated(path: Path, model: Path, size: int) -> Path:
    with model.open("rb") as source, path.open("wb") as target:
        target.write(source.read(size))
    return path


def _huge(path: Path) -> Path:
    with path.open("wb") as file:
        file.write(b"GGUF")
        file.truncate(psutil.virtual_memory().total * 2)
    return path


def _make(kind: str, folder: Path, model: Path) -> Path:
    path = folder / f"{kind}.gguf"
    if kind == "text":
        path.write_text("This is no model.")
    elif kind == "empty":
        path.touch()
    elif kind == "folder":
        path.mkdir()
    elif kind == "cut-header":
        _truncated(path, model, 3000)
    elif kind == "cut-tensors":
        _truncated(path, model, 200_000_000)
    elif kind == "unknown":
        _gguf(path, "perceptron")
    elif kind == "huge":
        _huge(path)
    return path


CASES = {
    "missing": "missing.gguf",
    "text": "is not a GGUF",
    "empty": "is empty",
    "folder": "folder",
    "cut-header": "cut short or damaged",
    "cut-tensors": "cut short or damaged",
    "unknown": "architecture 'perceptron'",
    "huge": "GB of memory and this machine has",
}


@pytest.mark.parametrize("kind", CASES)
async def test_a_bad_file_is_one_sentence_and_the_chat_goes_on(
    session: Session, kind: str, tmp_path: Path, model_path: Path
) -> None:
    session.values["model"] = str(_make(kind, tmp_path, model_path))
    last = (await collect(session.send("Hello.")))[-1]
    assert isinstance(last, Finished)
    assert last.reason == "failed"
    assert CASES[kind] in last.error
    assert "\n" not in last.error
    assert "Traceback" not in last.error
    session.values["model"] = str(model_path)
    assert text_of(await collect(session.send("Say hello.")))


async def test_a_flipped_bit_is_found_by_the_checksum(session: Session, tmp_path: Path, model_path: Path) -> None:
    flipped = tmp_path / "flipped.gguf"
    shutil.copyfile(model_path, flipped)
    with flipped.open("r+b") as file:
        file.seek(300_000_000)
        byte = file.read(1)[0]
        file.seek(300_000_000)
        file.write(bytes([byte ^ 1]))
    session.values["model"] = str(flipped)
    last = (await collect(session.send("Hello.")))[-1]
    assert isinstance(last, Finished)
    assert "damaged" in last.error


async def test_a_killed_child_costs_nothing_but_the_rest_of_the_answer(session: Session) -> None:
    sampled(session, max_tokens=500)
    engine_pid = None
    seen = ""
    last = None
    async with aclosing(session.send("Count from one to three hundred in words.")) as events:
        async for event in events:
            seen += event.text if isinstance(event, TextDelta) else ""
            last = event
            engine = session.host.engines.current()
            if len(seen) > 30 and engine_pid is None and isinstance(engine, LlamaEngine):
                engine_pid = engine.pid
                assert engine_pid is not None
                os.kill(engine_pid, signal.SIGKILL)
    assert isinstance(last, Finished)
    assert "llama process was ended by SIGKILL" in last.error
    assert list(session.conversation.path())[-1].text == seen
    sampled(session, max_tokens=5)
    events_after = await collect(session.send("Hello."))
    assert usage_of(events_after).reused_tokens == 0
    assert text_of(events_after)
    assert isinstance(engine, LlamaEngine)
    assert engine.pid not in (None, engine_pid)


async def test_a_conversation_that_outgrows_the_context_goes_on(tmp_path: Path, model_path: Path) -> None:
    async with real_session(tmp_path, model_path, llama={"context_length": 512}) as session:
        sampled(session, max_tokens=40)
        await collect(session.send("My name is Marcus Aurelius and I like figs. Greet me."))
        session.conversation.pin(next(session.conversation.path()).id)
        notices, sizes = [], []
        for number in range(8):
            events = await collect(session.send(f"Write a sentence about the number {number}, then one about the sea."))
            notices += [event.text for event in events if isinstance(event, Notice)]
            sizes.append(usage_of(events).prompt_tokens)
        assert any("outgrown the model's context" in notice for notice in notices)
        assert len(notices) < 5, "old turns are left out many at once, not one each turn"
        assert max(sizes) < 512
        assert len(session.conversation) == 18
        sent = [piece.text for piece in session.turn.sent] if session.turn else []
        assert any("Marcus Aurelius" in text for text in sent), "the pinned exchange stays"
        assert sent[0] == session.host.settings.core.system
        stored = session.host.archive.load(session.conversation.id)
        assert len(stored) == 18


async def test_a_busy_background_worker_takes_no_time_from_the_answer(session: Session) -> None:
    sampled(session, max_tokens=30)
    busy = [session.host.workers.add(f"busy{number}", "tests.services:Counter") for number in range(2)]

    def spent() -> list[float]:
        """Seconds of processor time that the two have used."""
        times = [psutil.Process(each.pid).cpu_times() for each in busy]
        return [each.user + each.system for each in times]

    async with (
        aclosing(busy[0].stream("burn", background=True)) as one,
        aclosing(busy[1].stream("burn", background=True)) as two,
    ):
        before = await anext(one), await anext(two)
        during = []
        async with aclosing(session.send("Count from one to a hundred in words.")) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    during.append(spent())
        assert len(during) > 10
        assert during[0] == during[-1]
        # They go on by themselves: far more values come than the pipe could have held.
        assert [await anext(one) for _ in range(300)][-1] > before[0]
        assert await anext(two) > before[1]
        assert min(now - then for now, then in zip(spent(), during[-1], strict=True)) > 0
