"""The first run, with no model there, and the models screen."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from chatapp.events import Progress
from chatapp.host import Host
from chatapp.models import Entry
from chatapp.models.sources import Job, LocalFile
from chatapp.testing import ScriptedEngine
from chatapp.tui.screens.models import ModelsScreen
from chatapp.tui.widgets.welcome import Welcome

from .support import host_in, running

BYTES = b"GGUF\x03\0\0\0" + bytes(range(256)) * 400


@dataclass(frozen=True)
class SlowFile:
    """A source that hands a file out in small pieces until it is told to hurry."""

    path: Path
    hurry: asyncio.Event
    name = "a slow disk"
    network = False

    async def fetch(self, job: Job) -> AsyncGenerator[int, None]:
        """A hundredth at a time."""
        data = self.path.read_bytes()
        job.size = len(data)
        done = job.on_disk
        with job.partial.open("ab") as file:
            while done < len(data):
                piece = data[done : done + len(data) // 100 + 1]
                file.write(piece)
                file.flush()
                done += len(piece)
                yield done
                await asyncio.sleep(0 if self.hurry.is_set() else 0.05)


def host_without_model(folder: Path, engine: ScriptedEngine, *, slow: asyncio.Event | None = None) -> Host:
    """A host whose model is in the catalogue and can be copied from a file, but is not there yet."""
    file = folder / "given.gguf"
    file.write_bytes(BYTES)
    host = host_in(folder, engine, model="tiny")
    source = LocalFile(file) if slow is None else SlowFile(file, slow)
    sha256 = hashlib.sha256(BYTES).hexdigest()
    entry = Entry("tiny", "Tiny", "tiny.gguf", len(BYTES), sha256, "MIT", 4096, "1M", sources=(source,))
    host.models.catalogue["tiny"] = entry  # type: ignore[index]
    return host


async def test_one_enter_fetches_the_model(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with running(tmp_path, host=host_without_model(tmp_path, engine), engine=engine) as chat:
        assert chat.app.focused is chat.chat.composer
        await chat.shows("Press Enter to download")
        await chat.shows("Enter downloads the model")
        await chat.press("enter")
        await chat.until(lambda: not chat.chat.first_run.needed)
        assert chat.app.host.models.path("tiny").read_bytes() == BYTES
        assert not chat.chat.query(Welcome)
        await chat.send("Hi")
        assert chat.said == [("user", "Hi"), ("assistant", "OK.")]


async def test_a_question_waits_for_the_model_and_escape_can_be_resumed(tmp_path: Path) -> None:
    engine, hurry = ScriptedEngine(), asyncio.Event()
    host = host_without_model(tmp_path, engine, slow=hurry)
    async with running(tmp_path, host=host, engine=engine) as chat:
        await chat.press(*"Why?", "enter")
        await chat.shows("Downloading tiny")
        assert chat.chat.runner.queue == ["Why?"]
        await chat.shows("queued")
        await chat.tap("escape")
        await chat.until(lambda: not chat.chat.first_run.busy)
        assert chat.chat.composer.text == "Why?"
        assert chat.chat.first_run.needed
        assert any(file.stat().st_size for file in (host.models.root / "partial" / "tiny").iterdir())
        hurry.set()
        await chat.press("enter")
        await chat.until(lambda: chat.settled and len(chat.said) == 2)
        assert chat.said == [("user", "Why?"), ("assistant", "OK.")]


async def test_up_and_down_choose_while_the_input_is_empty(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with running(tmp_path, host=host_without_model(tmp_path, engine), engine=engine) as chat:
        picker = chat.chat.query_one(Welcome).picker
        chosen = picker.chosen
        assert chosen is not None
        assert chosen.name == "tiny"
        await chat.press("up")
        assert picker.chosen is not chosen
        await chat.press("down")
        assert picker.chosen == chosen


async def test_a_path_to_a_file_of_ones_own_is_taken(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    host = host_without_model(tmp_path, engine)
    own = tmp_path / "my own.gguf"
    own.write_bytes(BYTES + b"x")
    async with running(tmp_path, host=host, engine=engine) as chat:
        chat.chat.composer.put(str(own))
        await chat.press("enter")
        await chat.until(lambda: not chat.chat.first_run.needed)
        assert chat.chat.session.model == "my-own"
        assert host.models.path("my-own") == own
        chat.chat.composer.put("/no/such.gguf")


async def test_a_download_that_fails_says_why_and_the_card_stays(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    host = host_without_model(tmp_path, engine)
    (tmp_path / "given.gguf").unlink()
    async with running(tmp_path, host=host, engine=engine) as chat:
        await chat.press("enter")
        await chat.until(lambda: not chat.chat.first_run.busy)
        await chat.pilot.pause()
        chat.chat.transcript.to_end()
        await chat.shows("could not be downloaded")
        assert chat.chat.first_run.needed


async def test_offline_says_what_to_do(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    host = host_in(tmp_path, engine, model="qwen2.5-coder-0.5b-instruct", offline=True)
    async with running(tmp_path, host=host, engine=engine) as chat:
        await chat.shows("--offline")
        await chat.shows("chatapp models add FILE")
        await chat.press("enter")
        assert not chat.chat.first_run.busy


async def test_the_models_screen_fetches_removes_and_brings_back(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    host = host_without_model(tmp_path, engine)
    async with running(tmp_path, host=host, engine=engine) as chat:
        await chat.press("f3")
        await chat.until(lambda: isinstance(chat.app.screen, ModelsScreen) and chat.app.screen.picker.offers)
        screen = chat.app.screen
        assert isinstance(screen, ModelsScreen)
        screen.picker.highlight("tiny")
        await chat.press("enter")
        await chat.until(lambda: any(offer.name == "tiny" and offer.usable for offer in screen.picker.offers))
        await chat.until(lambda: not chat.chat.first_run.needed)
        screen.picker.highlight("tiny")
        await chat.press("d")
        await chat.until(lambda: not any(offer.name == "tiny" and offer.usable for offer in screen.picker.offers))
        await chat.press("u")
        await chat.until(lambda: any(offer.name == "tiny" and offer.usable for offer in screen.picker.offers))
        assert host.models.path("tiny").read_bytes() == BYTES


async def test_the_models_screen_stops_a_download_on_escape(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    host = host_without_model(tmp_path, engine, slow=asyncio.Event())
    async with running(tmp_path, host=host, engine=engine) as chat:
        await chat.press("f3")
        await chat.until(lambda: isinstance(chat.app.screen, ModelsScreen) and chat.app.screen.picker.offers)
        screen = chat.app.screen
        assert isinstance(screen, ModelsScreen)
        screen.picker.highlight("tiny")
        await chat.tap("enter")
        await chat.shows("Downloading tiny")
        await chat.tap("escape")
        await chat.until(lambda: not screen.busy)
        assert chat.app.screen is screen
        await chat.press("escape")
        await chat.until(lambda: chat.app.screen is chat.chat)


def test_progress_tells_speed_and_time_left() -> None:
    from chatapp.tui.widgets.download import Download

    bar = Download()
    bar._rate.feed(0, 100, now=0)
    bar.report(Progress("", 50_000_000, 100_000_000, "bytes"))
    assert "50 MB of 100 MB" in str(bar.content)
    assert "left" in str(bar.content)
