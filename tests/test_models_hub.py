"""The hub as a source, against a server on this machine that speaks its protocol, and against none at all."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from chatapp.models import hub as hub_module
from chatapp.models.hub import HubFile
from chatapp.models.sources import DiskFull, Job, SourceFailed
from tests.support_models import Hub, drain, gguf, serving, sha256, until

DATA = gguf(1_500_000)
FILE = HubFile("me/toy", "toy.gguf")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one file."""
    with serving(Hub({"me/toy/toy.gguf": DATA})) as server:
        for name, value in server.environment(tmp_path / "hf").items():
            monkeypatch.setenv(name, value)
        yield server


def job(tmp_path: Path, size: int | None = None, sha: str | None = None) -> Job:
    return Job(tmp_path / "partial", size, sha, lambda count: None)


async def test_a_download_and_what_the_hub_states(tmp_path: Path, hub: Hub) -> None:
    wanted = job(tmp_path)
    sizes = await drain(FILE.fetch(wanted))
    assert wanted.partial.read_bytes() == DATA
    assert (wanted.size, wanted.sha256) == (len(DATA), sha256(DATA))
    assert sizes[0] == 0
    assert hub.downloads == [0]


async def test_it_resumes_with_a_range(tmp_path: Path, hub: Hub) -> None:
    wanted = job(tmp_path)
    wanted.partial.write_bytes(DATA[:400_000])
    wanted.note({"sha256": sha256(DATA)})
    sizes = await drain(FILE.fetch(wanted))
    assert wanted.partial.read_bytes() == DATA
    assert sizes[0] == 400_000
    assert hub.downloads == [400_000]


async def test_a_complete_partial_is_not_asked_for_again(tmp_path: Path, hub: Hub) -> None:
    wanted = job(tmp_path)
    wanted.partial.write_bytes(DATA)
    wanted.note({"sha256": sha256(DATA)})
    assert await drain(FILE.fetch(wanted)) == [len(DATA)]
    assert hub.downloads == []


@pytest.mark.parametrize(("length", "noted"), [(17, "ab" * 32), (1_500_001, sha256(DATA))])
async def test_a_partial_of_another_file_is_dropped(tmp_path: Path, hub: Hub, length: int, noted: str) -> None:
    wanted = job(tmp_path)
    wanted.partial.write_bytes(bytes(length))
    wanted.note({"sha256": noted})
    await drain(FILE.fetch(wanted))
    assert wanted.partial.read_bytes() == DATA
    assert hub.downloads == [0]


async def test_a_server_without_ranges_starts_over(tmp_path: Path, hub: Hub) -> None:
    hub.ranges = False
    wanted = job(tmp_path)
    wanted.partial.write_bytes(DATA[:400_000])
    wanted.note({"sha256": sha256(DATA)})
    await drain(FILE.fetch(wanted))
    assert wanted.partial.read_bytes() == DATA


async def test_a_broken_connection_is_taken_up_where_it_broke(tmp_path: Path, hub: Hub) -> None:
    hub.breaks = 2
    wanted = job(tmp_path)
    await drain(FILE.fetch(wanted))
    assert wanted.partial.read_bytes() == DATA
    assert hub.downloads == [0, 100_000, 200_000]


async def test_a_connection_that_never_gives_a_byte_is_given_up_and_the_partial_kept(tmp_path: Path, hub: Hub) -> None:
    hub.breaks, hub.break_after = 100, 0
    wanted = job(tmp_path)
    wanted.partial.write_bytes(DATA[:400_000])
    wanted.note({"sha256": sha256(DATA)})
    with pytest.raises(SourceFailed, match="it cannot be reached"):
        await drain(FILE.fetch(wanted))
    assert wanted.partial.read_bytes() == DATA[:400_000]


async def test_a_hub_that_does_not_listen_fails_without_retries(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(SourceFailed, match=r"it cannot be reached \(.*refused"):
            await drain(FILE.fetch(job(tmp_path)))


async def test_a_hub_that_never_answers_is_given_up(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.silent = True
    monkeypatch.setattr(hub_module, "ANSWER_SECONDS", 0.5)
    with pytest.raises(SourceFailed, match=r"it did not answer within 0\.5 s"):
        await drain(FILE.fetch(job(tmp_path)))


def test_the_wait_for_an_answer_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_ETAG_TIMEOUT", raising=False)
    assert hub_module.answer_seconds() < 5
    monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "30")
    assert hub_module.answer_seconds() == 30


@pytest.mark.parametrize(
    ("status", "reason"), [(503, "it answered with HTTP status 503"), (None, "it has no such file")]
)
async def test_answers_that_are_errors(tmp_path: Path, hub: Hub, status: int | None, reason: str) -> None:
    hub.status, hub.files = status, {}
    with pytest.raises(SourceFailed, match=reason):
        await drain(FILE.fetch(job(tmp_path)))


async def test_the_librarys_own_offline_switch_is_respected(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SourceFailed, match="HF_HUB_OFFLINE is set and forbids the network"):
        await drain(FILE.fetch(job(tmp_path)))
    assert hub.tokens == []


async def test_a_file_that_is_not_the_catalogues_is_refused_before_it_is_downloaded(tmp_path: Path, hub: Hub) -> None:
    with pytest.raises(SourceFailed, match="serves another file than the catalogue names"):
        await drain(FILE.fetch(job(tmp_path, len(DATA), "ab" * 32)))
    with pytest.raises(SourceFailed, match="it serves 1,500,000 bytes where the catalogue names 7"):
        await drain(FILE.fetch(job(tmp_path, 7, sha256(DATA))))
    assert hub.downloads == []


async def test_a_file_without_a_stated_sha256_is_refused(tmp_path: Path, hub: Hub) -> None:
    hub.etag = "d41d8cd98f00b204e9800998ecf8427e"
    with pytest.raises(SourceFailed, match="it states no SHA-256"):
        await drain(FILE.fetch(job(tmp_path)))


async def test_too_little_room_is_said_before_the_download(tmp_path: Path, hub: Hub) -> None:
    def refuse(count: int) -> None:
        raise DiskFull(str(count))

    with pytest.raises(DiskFull, match=str(len(DATA))):
        await drain(FILE.fetch(Job(tmp_path / "partial", None, None, refuse)))
    assert hub.downloads == []


async def test_a_users_token_is_sent(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_example")
    await drain(FILE.fetch(job(tmp_path)))
    assert hub.tokens == ["Bearer hf_example"] * 2


async def test_the_bytes_may_come_from_another_host_which_never_sees_the_token(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.cdn = True
    monkeypatch.setenv("HF_TOKEN", "hf_example")
    wanted = job(tmp_path)
    wanted.partial.write_bytes(DATA[:400_000])
    wanted.note({"sha256": sha256(DATA)})
    await drain(FILE.fetch(wanted))
    assert wanted.partial.read_bytes() == DATA
    assert hub.downloads == [400_000]
    assert hub.tokens == ["Bearer hf_example", "Bearer hf_example", None]


async def test_closing_stops_the_child_at_once_and_keeps_the_partial(tmp_path: Path, hub: Hub) -> None:
    hub.pause = 0.05
    wanted = job(tmp_path)
    before = set(psutil.Process().children())
    steps = FILE.fetch(wanted)
    while await anext(steps) < 300_000:
        pass
    (child,) = set(psutil.Process().children()) - before
    await steps.aclose()
    kept = wanted.partial.read_bytes()
    assert 300_000 <= len(kept) < len(DATA)
    assert kept == DATA[: len(kept)]
    assert not child.is_running()


async def test_without_the_library_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(SourceFailed, match=r"pip install 'chatapp\[hub\]'"):
        await drain(FILE.fetch(job(tmp_path)))


PULL = """
import asyncio, sys
from pathlib import Path
from chatapp.models.hub import HubFile
from chatapp.models.sources import Job
async def main():
    async for done in HubFile("me/toy", "toy.gguf").fetch(Job(Path(sys.argv[1]), None, None, lambda count: None)):
        print(done, flush=True)
asyncio.run(main())
"""


def pulling(partial: Path) -> subprocess.Popen[bytes]:
    """Another process that downloads the file."""
    return subprocess.Popen([sys.executable, "-c", PULL, str(partial)], stdout=subprocess.DEVNULL)


async def test_the_child_ends_when_its_parent_is_killed(tmp_path: Path, hub: Hub) -> None:
    hub.pause = 0.05
    partial = tmp_path / "partial"
    with pulling(partial) as parent:
        until(lambda: partial.exists() and partial.stat().st_size > 200_000)
        (child,) = psutil.Process(parent.pid).children()
        parent.kill()
        assert psutil.wait_procs([child], timeout=30)[0] == [child]
    hub.pause = 0
    wanted = job(tmp_path)
    sizes = await drain(FILE.fetch(wanted))
    assert sizes[0] > 200_000
    assert wanted.partial.read_bytes() == DATA
