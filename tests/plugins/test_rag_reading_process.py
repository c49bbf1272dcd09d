"""Reading in a child process: whole readings, and files that end the child or never end."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from chatapp import Worker
from chatapp.workers import Workers
from chatapp_rag.documents import Reading
from chatapp_rag.reading.client import TARGET, FileReader
from chatapp_rag.reading.service import VERSION
from tests.plugins.rag_files import pdf
from tests.plugins.test_rag_reading_texts import GERMAN

FRAGILE = "tests.plugins.rag_services:Fragile"


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    """Workers that are ended when the test is."""
    made = Workers()
    yield made
    await made.close()


@pytest.fixture
def fragile(workers: Workers) -> Worker:
    """A child that dies of some files."""
    return workers.add("reader", FRAGILE)


def written(folder: Path, name: str, data: bytes = b"Some text.\n") -> str:
    """The path of a new file."""
    (folder / name).write_bytes(data)
    return str(folder / name)


async def test_a_file_becomes_chunks(workers: Workers, tmp_path: Path) -> None:
    reader = FileReader(workers.add("reader", TARGET))
    data = f"# Der Weg\n\n{GERMAN}\n".encode()
    reading = await reader.read(written(tmp_path, "a.md", data), "", 256)
    assert reading.digest == hashlib.sha256(f"{VERSION}\0md\0".encode() + data).hexdigest()
    assert (reading.title, reading.language, reading.reason) == ("Der Weg", "de", "")
    (chunk,) = reading.chunks
    assert (chunk.heading, chunk.locator, GERMAN in chunk.text) == ("Der Weg", "lines 1-3", True)


async def test_the_same_bytes_of_another_kind_differ(workers: Workers, tmp_path: Path) -> None:
    reader = FileReader(workers.add("reader", TARGET))
    names = ["a.txt", "copy.txt", "a.md"]
    digests = [(await reader.read(written(tmp_path, name), "", 256)).digest for name in names]
    assert digests[0] == digests[1] != digests[2]


async def test_a_file_that_cannot_be_read_has_digest_and_reason(workers: Workers, tmp_path: Path) -> None:
    reader = FileReader(workers.add("reader", TARGET))
    scan = await reader.read(written(tmp_path, "a.pdf", pdf([[]])), "", 256)
    assert "OCR" in scan.reason
    assert (len(scan.digest), scan.chunks) == (64, ())
    gone = await reader.read(str(tmp_path / "none.txt"), "", 256)
    assert gone == Reading(reason="cannot be read: No such file or directory")


async def test_an_unforeseen_error_is_a_reason(workers: Workers, tmp_path: Path) -> None:
    reader = FileReader(workers.add("reader", TARGET))
    reading = await reader.read(written(tmp_path, "a.txt"), str(tmp_path / "no_tokenizer.json"), 256)
    assert reading.reason.startswith("could not be read: ")


async def test_the_whole_text_of_a_file(workers: Workers, tmp_path: Path) -> None:
    reader = FileReader(workers.add("reader", TARGET))
    assert await reader.text(written(tmp_path, "a.md", b"# Head\n\nBody\n")) == ("Head", "# Head\n\nBody\n", "")
    assert await reader.text(written(tmp_path, "b.md", b"")) == ("", "", "is empty")


@pytest.mark.parametrize(("name", "signal"), [("abort", "SIGABRT"), ("kill", "SIGKILL")])
async def test_a_file_that_ends_the_child_is_named_and_the_next_is_read(
    fragile: Worker, tmp_path: Path, name: str, signal: str
) -> None:
    reader = FileReader(fragile)
    files = [written(tmp_path, each) for each in ("first.txt", f"{name}.txt", "last.txt")]
    first, bad, last = await asyncio.gather(*(reader.read(path, "", 256) for path in files))
    assert [len(first.chunks), len(last.chunks)] == [1, 1]
    assert bad.reason.startswith("the reader crashed on it; ")
    assert signal in bad.reason
    assert fragile.starts == 2


async def test_a_file_that_takes_too_long_ends_the_child(fragile: Worker, tmp_path: Path) -> None:
    reader = FileReader(fragile, seconds=1)
    slow = await reader.read(written(tmp_path, "sleep.txt"), "", 256)
    assert slow.reason == "took longer than 1 s to read"
    assert len((await reader.read(written(tmp_path, "a.txt"), "", 256)).chunks) == 1
    assert fragile.starts == 2


async def test_time_while_it_is_paused_does_not_count(workers: Workers, fragile: Worker, tmp_path: Path) -> None:
    reader = FileReader(fragile, seconds=1)
    await fragile.start()
    with workers.foreground():
        task = asyncio.create_task(reader.read(written(tmp_path, "a.txt"), "", 256))
        await asyncio.sleep(2)
        assert psutil.Process(fragile.pid).status() == psutil.STATUS_STOPPED
        assert not task.done()
    assert len((await task).chunks) == 1


async def test_giving_up_ends_what_is_under_way(fragile: Worker, tmp_path: Path) -> None:
    reader = FileReader(fragile)
    task = asyncio.create_task(reader.read(written(tmp_path, "sleep.txt"), "", 256))
    await fragile.start()
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len((await reader.read(written(tmp_path, "a.txt"), "", 256)).chunks) == 1
