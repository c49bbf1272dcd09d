"""Several single-threaded processes that train one model together, or one process a GPU."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist

PATIENCE = timedelta(hours=1)
"""How long a process waits for the others: another program may take a core for minutes."""


@dataclass(slots=True)
class Group:
    """This process's place among those that train together: `rank` of `size`, on `device`.

    `asked` is set when this process is asked to end; the group agrees on that before any of them stops.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"
    asked: bool = False

    def total(self, tensor: torch.Tensor) -> torch.Tensor:
        """The sum of the tensor over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def mean(self, tensor: torch.Tensor) -> torch.Tensor:
        """The mean of the tensor over all processes, in place."""
        return self.total(tensor).div_(self.size)

    def shared(self, values: list[float]) -> list[float]:
        """The first process's values, in all of them."""
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        if self.size > 1:
            dist.broadcast(tensor, 0)
        return [float(value) for value in tensor]

    def watch(self) -> None:
        """Set `asked` when the process is asked to end, by SIGTERM or Ctrl+C."""

        def stop(number: int, frame: FrameType | None) -> None:
            self.asked = True

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)


def processes() -> int:
    """How many processes train best here: one a GPU, or else one a core, two at most."""
    return torch.cuda.device_count() or min(2, os.cpu_count() or 1)


def launch(work: Callable[..., None], arguments: tuple[Any, ...], count: int, niceness: int = 0) -> int:
    """Run `work(group, *arguments)` in `count` processes; the exit code of the first that failed, or 0.

    SIGTERM and Ctrl+C are passed on, so that all of them stop at the same step and save.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        meeting = (Path(folder) / "meeting").as_uri()
        started: list[BaseProcess] = []
        for rank in range(count):
            process = context.Process(target=_child, args=(work, arguments, rank, count, meeting, niceness))
            process.start()
            started.append(process)

        def forward(number: int, frame: FrameType | None) -> None:
            for process in started:
                process.terminate()

        previous = [(number, signal.signal(number, forward)) for number in (signal.SIGTERM, signal.SIGINT)]
        try:
            return _wait(started)
        finally:
            for number, handler in previous:
                signal.signal(number, handler)


def _wait(started: list[BaseProcess]) -> int:
    """Wait for all; end the others when one fails, as they would wait for it."""
    while any(process.exitcode is None for process in started):
        for process in started:
            process.join(0.5)
        if any(process.exitcode for process in started):
            for process in started:
                process.kill()
    return next((process.exitcode for process in started if process.exitcode), 0)


def _child(
    work: Callable[..., None], arguments: tuple[Any, ...], rank: int, count: int, meeting: str, niceness: int
) -> None:
    os.nice(niceness)
    # Two threads in one process collapse as soon as anything else runs on the machine.
    torch.set_num_threads(1)
    group = Group(rank, count, f"cuda:{rank}" if torch.cuda.is_available() else "cpu")
    group.watch()
    if torch.cuda.is_available():
        torch.cuda.set_device(rank)
    if count > 1:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        backend = "nccl" if group.device != "cpu" else "gloo"
        dist.init_process_group(backend, init_method=meeting, rank=rank, world_size=count, timeout=PATIENCE)
    try:
        work(group, *arguments)
    finally:
        if count > 1:
            dist.destroy_process_group()
