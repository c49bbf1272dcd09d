"""Child processes: calls, streams, failures, death, and who may run while someone waits."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from chatapp import UsageError, Worker, WorkerDied, WorkerError
from chatapp.workers import Workers

TARGET = "tests.services:Counter"


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    """Workers that are ended when the test is."""
    made = Workers()
    yield made
    await made.close()


@pytest.fixture
def worker(workers: Workers) -> Worker:
    """A worker for the counting service."""
    return workers.add("counter", TARGET)


async def test_a_call_runs_in_another_process_which_keeps_its_state(worker: Worker) -> None:
    assert worker.pid is None
    assert await worker.call("add", 2) == 2
    assert await worker.call("add", 3) == 5
    assert worker.pid not in (None, os.getpid())
    assert worker.starts == 1


async def test_a_stream_yields_each_value(worker: Worker) -> None:
    assert [number async for number in worker.stream("count", 3)] == [0, 1, 2]


async def test_a_service_may_send_values_from_inside_a_call(worker: Worker) -> None:
    assert [value async for value in worker.stream("emit", ["a", "b"])] == ["a", "b"]


async def test_closing_a_stream_stops_the_child_and_the_next_call_is_served(worker: Worker) -> None:
    async with aclosing(worker.stream("count", 1_000_000, 0.001)) as numbers:
        async for number in numbers:
            if number == 5:
                break
    reached = await worker.call("add", 0)
    assert 5 <= reached < 1000


async def test_cancelling_a_call_tells_the_child(worker: Worker, tmp_path: Path) -> None:
    call = asyncio.create_task(worker.call("patient", str(tmp_path / "begun")))
    while not (tmp_path / "begun").exists():  # noqa: ASYNC110 (another process makes it)
        await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await worker.call("add", 0) == -1


async def test_errors_of_ours_keep_their_class_and_others_are_named(worker: Worker) -> None:
    with pytest.raises(UsageError, match=r"^Give a number\.$"):
        await worker.call("fail", "ours")
    with pytest.raises(WorkerError, match=r"^ValueError: not a number$"):
        await worker.call("fail", "other")
    assert await worker.call("add", 1) == 1


async def test_an_unknown_method_or_module_is_an_error_not_a_hang(worker: Worker, workers: Workers) -> None:
    with pytest.raises(WorkerError, match="AttributeError"):
        await worker.call("nothing")
    with pytest.raises(WorkerError, match="ModuleNotFoundError"):
        await workers.add("absent", "no_such_module:Service").call("anything")


async def test_what_a_library_prints_does_not_disturb(worker: Worker) -> None:
    assert await worker.call("noise") == ""
    await worker.call("add", 0)
    assert "to descriptor one" in worker.stderr
    assert "to standard error" in worker.stderr


async def test_a_value_larger_than_a_pipe(worker: Worker) -> None:
    assert len(await worker.call("large", 5_000_000)) == 5_000_000


async def test_kill_in_mid_stream_is_said_and_the_next_use_starts_afresh(worker: Worker) -> None:
    seen: list[int] = []

    async def read() -> None:
        async for number in worker.stream("count", 1_000_000, 0.001):
            seen.append(number)
            if number == 3:
                assert worker.pid is not None
                os.kill(worker.pid, signal.SIGKILL)

    with pytest.raises(WorkerDied, match="counter process was ended by SIGKILL"):
        await read()
    assert seen[:4] == [0, 1, 2, 3]
    assert await worker.call("add", 7) == 7
    assert worker.starts == 2


async def test_an_abort_in_native_code_is_a_death_with_its_signal(worker: Worker) -> None:
    with pytest.raises(WorkerDied, match="SIGABRT"):
        await worker.call("crash")


async def test_calls_at_once_are_answered_each_with_its_own(worker: Worker) -> None:
    answers = await asyncio.gather(*(worker.call("add", 1) for _ in range(20)))
    assert sorted(answers) == list(range(1, 21))
    assert worker.starts == 1


def _state(worker: Worker) -> str:
    assert worker.pid is not None
    return str(psutil.Process(worker.pid).status())


async def test_background_work_is_stopped_while_someone_waits_and_goes_on_by_itself(workers: Workers) -> None:
    busy, asked = workers.add("busy", TARGET), workers.add("asked", TARGET)
    async with aclosing(busy.stream("burn", background=True)) as burning:
        await anext(burning)
        async with aclosing(asked.stream("count", 1000, 0.001)) as numbers:
            await anext(numbers)
            assert _state(busy) == psutil.STATUS_STOPPED
            await anext(numbers)
        assert _state(busy) != psutil.STATUS_STOPPED
        before = await anext(burning)
        # What was computed before the pause may still be in the pipe; new values come after it.
        assert [value async for value in _first(burning, 200)][-1] > before


async def _first(values: AsyncIterator[int], count: int) -> AsyncIterator[int]:
    for _ in range(count):
        yield await anext(values)


async def test_a_foreground_call_to_a_stopped_worker_lets_it_run(workers: Workers) -> None:
    shared, asked = workers.add("shared", TARGET), workers.add("asked", TARGET)
    async with aclosing(shared.stream("count", 300, 0.001, background=True)) as indexing:
        await anext(indexing)
        async with aclosing(asked.stream("count", 100_000, 0.001)) as numbers:
            await anext(numbers)
            assert _state(shared) == psutil.STATUS_STOPPED
            # The queue is served in order, so the background job ends before the call.
            assert await shared.call("add", 1) == 300


async def test_a_stopped_worker_can_be_closed(workers: Workers) -> None:
    busy, asked = workers.add("busy", TARGET), workers.add("asked", TARGET)
    burning = busy.stream("burn", background=True)
    await anext(burning)
    pid = busy.pid
    async with aclosing(asked.stream("count", 1000, 0.001)) as numbers:
        await anext(numbers)
        await burning.aclose()
        await busy.close()
    assert pid is not None
    assert not psutil.pid_exists(pid)


PARENT = """
import asyncio
from chatapp.workers import Workers
async def main():
    worker = Workers().add("orphan", "tests.services:Counter")
    async for number in worker.stream("burn", background=True):
        if number: print(worker.pid, flush=True); await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.parametrize("paused", [False, True])
async def test_a_child_does_not_outlive_its_parent(paused: bool) -> None:
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = psutil.Process(int(await parent.stdout.readline()))
    if paused:
        child.suspend()
    parent.kill()
    await parent.wait()
    await asyncio.to_thread(child.wait, 20)
    assert not child.is_running()


async def test_nothing_of_the_current_folder_is_imported(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(tmp_path)
    monkeypatch.chdir(folder)
    with open("queue.py", "w", encoding="utf-8") as file:  # noqa: PTH123, ASYNC230 - three words, once
        file.write("raise SystemExit('hostile')\n")
    workers = Workers()
    try:
        assert await workers.add("safe", TARGET).call("add", 1) == 1
    finally:
        await workers.close()
