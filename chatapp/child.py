"""The child's side of `chatapp.workers`: runs the methods of one service object for the parent process.

Frames are a length (4 bytes, big-endian) and a pickle. The parent sends ("call", id, method, args) and ("cancel", id);
the child answers ("item", id, value) for each value of a generator, then ("result", id, value) or
("error", id, class name, text). Both ends are our own code in processes of the same user, so pickle is safe here.
Imports stay few: this file decides how fast an engine starts.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import os
import pickle
import queue
import signal
import struct
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO

HEADER = struct.Struct(">I")


class Job:
    """One call under way, handed to a service's method as its first argument.

    `cancelled` turns true, at any moment and from another thread, when the parent has lost interest. A generator is
    closed at its next value anyway; check it inside work that takes longer than that. `emit` sends a value to the
    parent from inside a callback, where a generator cannot yield.
    """

    def __init__(self, number: int, emit: Callable[[Any], None]) -> None:
        self.number = number
        self.cancelled = False
        self.emit = emit


class _Pipe:
    """Reads and writes frames on two file descriptors."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source, self._sink = source, sink

    def read(self) -> Any:
        """The next frame, or None when the parent has gone."""
        header = self._source.read(HEADER.size)
        if len(header) < HEADER.size:
            return None
        return pickle.loads(self._source.read(HEADER.unpack(header)[0]))

    def write(self, *frame: Any) -> None:
        """Send a frame at once."""
        data = pickle.dumps(frame, protocol=5)
        self._sink.write(HEADER.pack(len(data)) + data)
        self._sink.flush()
        if not gc.isenabled():
            # What was imported and opened for the first frame stays: it is not looked through again either.
            gc.freeze()
            gc.enable()


def main(target: str) -> None:
    """Serve `target` (``package.module:Class``) on standard input and output until the parent goes away."""
    _die_with_parent()
    # A native library may print; what it prints must not land between our frames.
    pipe = _Pipe(os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb"))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    # Ctrl+C in a terminal reaches the whole process group; only the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    calls: queue.SimpleQueue[tuple[Job, str, tuple[Any, ...]]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, calls), daemon=True).start()
    # Looking for garbage while a large library is imported is a fifth of the time to open a model, and finds none.
    gc.disable()
    service: Any = None
    while True:
        job, method, arguments = calls.get()
        try:
            service = service if service is not None else _load(target)()
            _run(pipe, job, getattr(service, method), arguments)
        except Exception as error:  # noqa: BLE001 - the parent raises it where the call was made
            text = str(error) or type(error).__name__
            pipe.write("error", job.number, type(error).__name__, text)


def _listen(pipe: _Pipe, calls: queue.SimpleQueue[tuple[Job, str, tuple[Any, ...]]]) -> None:
    jobs: dict[int, Job] = {}
    while (frame := pipe.read()) is not None:
        kind, number, *rest = frame
        if kind == "call":
            jobs = {key: job for key, job in jobs.items() if not job.cancelled}
            jobs[number] = Job(number, partial(pipe.write, "item", number))
            calls.put((jobs[number], *rest))
        elif number in jobs:
            jobs[number].cancelled = True
    # The parent is gone; the main thread may be deep in native code, so leave without asking it.
    os._exit(0)


def _run(pipe: _Pipe, job: Job, method: Any, arguments: tuple[Any, ...]) -> None:
    result = None if job.cancelled else method(job, *arguments)
    if inspect.isgenerator(result):
        try:
            for item in result:
                pipe.write("item", job.number, item)
                if job.cancelled:
                    break
        finally:
            result.close()
        result = None
    pipe.write("result", job.number, result)


def _load(target: str) -> Any:
    module, _, name = target.rpartition(":")
    return getattr(importlib.import_module(module), name)


def _die_with_parent() -> None:
    """Ask the kernel (Linux) to end this process with its parent, also while it is paused and reads no pipe."""
    if sys.platform != "linux":
        return
    import ctypes

    set_death_signal = 1  # PR_SET_PDEATHSIG, prctl(2)
    ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)
