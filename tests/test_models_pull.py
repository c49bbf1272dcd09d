"""Downloads from start to finish: sources in turn, verification, room on the disk, closing and cancelling."""

from __future__ import annotations

import asyncio
import errno
import resource
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from chatapp.errors import ModelError, OfflineError
from chatapp.models import Store
from chatapp.models.hub import HubFile
from chatapp.models.lock import FileLock
from chatapp.models.sources import DiskFull, Job, LocalFile, Source
from tests.support_models import Hub, drain, entry, gguf, pip_environment, serving, sha256, soon, write_parts

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


def store(tmp_path: Path, *sources: Source, sha: str | None = "", room: int = 10**12, offline: bool = False) -> Store:
    known = {"toy": entry("toy", DATA, *sources, sha=sha)}
    return Store(tmp_path / "models", catalogue=known, offline=offline, free=lambda folder: room)


class Full:
    """A source that meets a full disk."""

    name = "a source"
    network = False

    async def fetch(self, job: Job) -> AsyncGenerator[int, None]:
        """Write a little, then fail as a write does."""
        yield 1
        raise OSError(errno.ENOSPC, "No space left on device")


async def test_the_next_source_is_tried_and_nothing_partial_is_left(tmp_path: Path, index: Path, hub: Hub) -> None:
    hub.status = 503
    mine = store(tmp_path, HUB, write_parts(index, DATA, 2))
    steps = await drain(mine.pull("toy"))
    assert mine.path("toy").read_bytes() == DATA
    assert list((mine.root / "partial").iterdir()) == []
    labels = list(dict.fromkeys(step.label for step in steps))
    assert labels == [
        "Looking in the hub repository me/toy",
        "Looking in the packages toy-part1 to 2",
        "Downloading toy",
        "Checking toy",
        "toy is ready",
    ]
    assert {step.total for step in steps if step.label != labels[0] and step.label != labels[1]} == {len(DATA)}


async def test_a_model_that_is_there_is_not_downloaded_again(tmp_path: Path, hub: Hub) -> None:
    mine = store(tmp_path, HUB)
    await drain(mine.pull("toy"))
    steps = await drain(mine.pull("toy"))
    assert [step.label for step in steps] == ["toy is ready"]
    assert hub.downloads == [0]


async def test_a_file_from_the_hub_under_another_name_is_not_downloaded_again(tmp_path: Path, hub: Hub) -> None:
    mine = store(tmp_path, HUB)
    await drain(mine.pull_hub("me/toy", "toy.gguf", "other"))
    await drain(mine.pull("toy"))
    assert hub.downloads == [0]
    assert mine.path("toy") == mine.path("other")
    assert mine.remove("toy").freed == 0
    assert mine.path("other").read_bytes() == DATA


async def test_a_damaged_model_is_mended_by_removing_and_pulling(tmp_path: Path, hub: Hub) -> None:
    mine = store(tmp_path, HUB)
    await drain(mine.pull("toy"))
    mine.path("toy").write_bytes(DATA[:-1] + b"!")
    with pytest.raises(ModelError, match="is damaged: run `chatapp models rm toy`, then `chatapp models pull toy`"):
        mine.check(mine.path("toy"))
    mine.remove("toy")
    await drain(mine.pull("toy"))
    assert mine.path("toy").read_bytes() == DATA
    assert hub.downloads == [0, 0]


async def test_all_failures_are_named_in_one_sentence(tmp_path: Path, hub: Hub) -> None:
    hub.status = 503
    mine = store(tmp_path, HUB, LocalFile(tmp_path / "none.gguf"))
    with pytest.raises(ModelError) as caught:
        await drain(mine.pull("toy"))
    assert str(caught.value) == (
        "toy could not be downloaded from the hub repository me/toy: it answered with HTTP status 503; "
        f"nor from the file {tmp_path}/none.gguf: No such file or directory."
    )


async def test_bytes_with_another_sha256_are_deleted_and_the_next_source_is_tried(tmp_path: Path, hub: Hub) -> None:
    (tmp_path / "wrong.gguf").write_bytes(DATA[:-1] + bytes([DATA[-1] ^ 1]))
    wrong = LocalFile(tmp_path / "wrong.gguf")
    with pytest.raises(ModelError, match="does not have the SHA-256 it should have, so it was deleted"):
        await drain(store(tmp_path, wrong).pull("toy"))
    mine = store(tmp_path, wrong, HUB)
    assert list((mine.root / "blobs").iterdir()) == []
    assert not (mine.root / "partial" / "toy" / "source0").exists()
    await drain(mine.pull("toy"))
    assert mine.path("toy").read_bytes() == DATA


async def test_what_is_no_gguf_never_becomes_a_model(tmp_path: Path, hub: Hub) -> None:
    hub.files["me/toy/text.gguf"] = b"I am not a model" * 10
    mine = store(tmp_path)
    with pytest.raises(ModelError, match="the hub repository me/toy: what it serves is not a GGUF model"):
        await drain(mine.pull_hub("me/toy", "text.gguf"))
    assert mine.list() == []
    assert not (mine.root / "partial" / "text" / "source0").exists()


async def test_too_little_room_is_said_before_a_byte_is_downloaded(tmp_path: Path, hub: Hub) -> None:
    mine = store(tmp_path, HUB, LocalFile(tmp_path / "none"), room=201_000_000)
    with pytest.raises(DiskFull, match=r"toy needs 201 MB on the disk of .* and only 201 MB are free: make room there"):
        await drain(mine.pull("toy"))
    assert hub.downloads == []


async def test_a_file_that_cannot_be_written_to_the_end_is_no_fault_of_the_source(tmp_path: Path, hub: Hub) -> None:
    mine = store(tmp_path, HUB, LocalFile(tmp_path / "none"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        with pytest.raises(ModelError, match="toy could not be stored: File too large"):
            await drain(mine.pull("toy"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert hub.downloads == [0]
    await drain(mine.pull("toy"))
    assert hub.downloads == [0, 500_000]


async def test_a_full_disk_ends_the_pull_and_says_that_it_resumes(tmp_path: Path, hub: Hub) -> None:
    mine = store(tmp_path, Full(), HUB)
    with pytest.raises(
        DiskFull, match="The disk is full: make room and run `chatapp models pull toy` again, it resumes"
    ):
        await drain(mine.pull("toy"))
    assert hub.downloads == []


async def test_offline_forbids_the_network_but_not_a_local_file(tmp_path: Path, hub: Hub) -> None:
    mine = store(tmp_path, HUB, offline=True)
    with pytest.raises(OfflineError, match="toy is not downloaded, and --offline forbids it: run `chatapp models pull"):
        await drain(mine.pull("toy"))
    assert hub.tokens == []
    (tmp_path / "copy.gguf").write_bytes(DATA)
    mine = store(tmp_path, HUB, LocalFile(tmp_path / "copy.gguf"), offline=True)
    await drain(mine.pull("toy"))
    assert mine.path("toy").read_bytes() == DATA


async def test_a_model_without_any_source(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="names no source for toy: add the file with `chatapp models add FILE`"):
        await drain(store(tmp_path).pull("toy"))


async def test_without_a_sha256_of_ours_the_hubs_own_decides(tmp_path: Path, hub: Hub) -> None:
    mine = store(tmp_path, HUB, sha=None)
    await drain(mine.pull("toy"))
    assert mine.path("toy") == mine.root / "blobs" / f"sha256-{sha256(DATA)}"
    assert "unverified by us" in mine.info("toy").assurance


async def test_any_file_of_the_hub(tmp_path: Path, hub: Hub) -> None:
    hub.files["me/toy/sub/Other Model.gguf"] = gguf(5000, seed=7)
    mine = store(tmp_path)
    await drain(mine.pull_hub("me/toy", "sub/Other Model.gguf"))
    await drain(mine.pull_hub("me/toy", "toy.gguf", "second"))
    assert [(one.name, one.origin) for one in mine.list()] == [
        ("other-model", "me/toy/sub/Other Model.gguf"),
        ("second", "me/toy/toy.gguf"),
    ]
    assert "stated by the hub, unverified by us" in mine.info("other-model").assurance


async def test_a_file_of_the_hub_that_is_no_model_leaves_nothing_in_the_store(tmp_path: Path, hub: Hub) -> None:
    mine = store(tmp_path)
    await drain(mine.pull_file("me/toy", "toy.gguf", tmp_path / "adapter.gguf"))
    assert (tmp_path / "adapter.gguf").read_bytes() == DATA
    assert mine.list() == []
    assert [list((mine.root / each).iterdir()) for each in ("blobs", "partial")] == [[], []]
    await drain(mine.pull_hub("me/toy", "toy.gguf", "kept"))
    await drain(mine.pull_file("me/toy", "toy.gguf", tmp_path / "again.gguf"))
    assert mine.path("kept").read_bytes() == (tmp_path / "again.gguf").read_bytes()


@pytest.mark.parametrize(
    ("repository", "file", "complaint"),
    [
        ("toy", "toy.gguf", "'toy' is not a hub repository: write OWNER/NAME"),
        ("me/toy", "toy.safetensors", r"is not a single GGUF file"),
        ("me/toy", "toy-00001-of-00002.gguf", "is not a single GGUF file"),
        ("me/toy", "toy.gguf", "The name toy belongs to another model of the catalogue"),
    ],
)
async def test_what_cannot_be_pulled_from_the_hub(tmp_path: Path, repository: str, file: str, complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint):
        await drain(store(tmp_path).pull_hub(repository, file))


async def test_closing_keeps_the_partial_and_gives_the_lock_back(tmp_path: Path, hub: Hub) -> None:
    hub.pause = 0.05
    mine = store(tmp_path, HUB)
    steps = mine.pull("toy")
    while (await anext(steps)).done < 300_000:
        pass
    await steps.aclose()
    assert mine.list() == []
    hub.pause = 0
    await drain(mine.pull("toy"))
    assert hub.downloads[1] >= 300_000
    assert mine.path("toy").read_bytes() == DATA


async def test_a_cancelled_task_gives_the_lock_back(tmp_path: Path, hub: Hub) -> None:
    hub.pause = 0.05
    task = asyncio.create_task(drain(store(tmp_path, HUB).pull("toy")))
    await soon(lambda: hub.downloads)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    lock = FileLock(tmp_path / "models" / "locks" / "toy.lock")
    assert lock.try_acquire()
    lock.release()
