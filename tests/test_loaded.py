"""Engines in child processes: loaded once a process, again after it died, and ended where loading fails."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator

import pytest

from chatapp import EngineError, LoadedWorker, Progress, Worker
from chatapp.workers import Workers
from tests.support_models import soon


class Adder(LoadedWorker):
    """Loads the number 7 into the counting service; `broken` says that it cannot."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(worker)
        self.fills = 0
        self.broken = False

    async def fill(self) -> None:
        """Add 7 to what the child holds."""
        self.fills += 1
        await self.worker.call("add", 7)
        if self.broken:
            raise EngineError("It is broken.")


@pytest.fixture
async def adder() -> AsyncIterator[Adder]:
    """One that is ended with the test."""
    workers = Workers()
    yield Adder(workers.add("counter", "tests.services:Counter"))
    await workers.close()


async def held(adder: Adder) -> int:
    """What the child holds once the engine is loaded."""
    await adder.load()
    return int(await adder.worker.call("add", 0))


async def test_it_is_loaded_once_a_process(adder: Adder) -> None:
    assert adder.pid is None
    assert [await held(adder), await held(adder), adder.fills] == [7, 7, 1]
    first = adder.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await soon(lambda: adder.pid is None)
    assert [await held(adder), adder.fills] == [7, 2]
    assert adder.pid not in (None, first)


async def test_what_is_unloaded_is_loaded_again_in_the_same_process(adder: Adder) -> None:
    await adder.load()
    before = adder.pid
    adder.unload()
    assert [await held(adder), adder.pid] == [14, before]


async def test_what_is_opened_is_loaded_or_its_process_ended(adder: Adder) -> None:
    news: list[Progress] = []
    assert await adder.opened("it", news.append) is adder
    assert [each.label for each in news] == ["Opening it"]
    assert adder.fills == 1
    adder.unload()
    adder.broken = True
    with pytest.raises(EngineError, match="It is broken"):
        await adder.opened("it", news.append)
    assert adder.pid is None
