"""The one bridge from blocking libraries to async streams: a child process per service.

Native code can abort its process, hold the interpreter's lock or eat all processors; in a child it can do none of that
to the interface. Work is foreground (someone waits for it) or background (indexing, training, painting). While a
foreground stream runs, processes with nothing but background work are stopped, and go on by themselves afterwards:
on few cores, a second busy process slows generation by an order of magnitude, as llama.cpp's threads spin.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from typing import Any

from chatapp import errors
from chatapp.child import HEADER

STDERR_LINES = 50


class _Process:
    """One running child and the calls that wait for it."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.process = process
        self.waiting: dict[int, asyncio.Queue[tuple[str, Any]]] = {}
        self.background: dict[int, bool] = {}
        self.stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self.paused = False
        self.tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._read_errors())]

    @property
    def alive(self) -> bool:
        return self.process.returncode is None and not self.tasks[0].done()

    def send(self, *frame: Any) -> None:
        data = pickle.dumps(frame, protocol=5)
        assert self.process.stdin is not None
        self.process.stdin.write(HEADER.pack(len(data)) + data)

    async def _read(self) -> None:
        source = self.process.stdout
        assert source is not None
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = HEADER.unpack(await source.readexactly(HEADER.size))
                kind, number, *rest = pickle.loads(await source.readexactly(length))
                if number in self.waiting:
                    self.waiting[number].put_nowait((kind, rest))
        await self.process.wait()
        await asyncio.wait(self.tasks[1:])
        for each in self.waiting.values():
            each.put_nowait(("died", [self.epitaph()]))

    async def _read_errors(self) -> None:
        assert self.process.stderr is not None
        with suppress(ValueError, ConnectionError):
            async for line in self.process.stderr:
                self.stderr.append(line.decode("utf-8", "replace").rstrip())

    def epitaph(self) -> str:
        code = self.process.returncode or 0
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
        return f"The {self.name} process {how}; the next use starts a fresh one."

    def pause(self, on: bool) -> None:
        """Stop the process in its tracks, or let it go on."""
        if on == self.paused or not self.alive:
            return
        import psutil

        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.process.pid)
            process.suspend() if on else process.resume()
            self.paused = on

    async def close(self) -> None:
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.kill()
        if self.process.stdin is not None:
            self.process.stdin.close()
        await asyncio.wait(self.tasks)


class Worker:
    """A service in a child process, started at its first use and again after it died.

    `target` is ``package.module:Class``; the class is made in the child without arguments, and each of its methods
    takes a `chatapp.Job` first. `starts` counts processes: a service that holds state compares it to know that it must
    load again. Closing a stream, or cancelling a call, tells the child to stop and does not wait for it.
    """

    def __init__(self, workers: Workers, name: str, target: str, env: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.starts = 0
        self._workers = workers
        self._target = target
        self._env = dict(env or {})
        self._process: _Process | None = None
        self._numbers = itertools.count(1)
        self._lock = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return self._process.process.pid if self.alive and self._process else None

    @property
    def alive(self) -> bool:
        """Whether the child runs (or is paused)."""
        return self._process is not None and self._process.alive

    @property
    def stderr(self) -> str:
        """The last lines the child's libraries wrote to standard error."""
        return "\n".join(self._process.stderr) if self._process else ""

    async def start(self) -> None:
        """Start the child unless it runs."""
        async with self._lock:
            if self.alive:
                return
            if self._process is not None:
                await self._process.close()
            self._process = _Process(self.name, await _spawn(self._target, self._env))
            self.starts += 1

    async def call(self, method: str, *arguments: Any, background: bool = False) -> Any:
        """Run a method in the child and return what it returns; of a generator, None.

        Raises what the method raised if it was a ChatappError, else WorkerError; WorkerDied when the process went away.
        """
        number, process = await self._send(method, arguments, background)
        finished = False
        try:
            while not finished:
                kind, rest = await process.waiting[number].get()
                finished = kind != "item"
            return _outcome(kind, rest)
        finally:
            self._forget(process, number, finished)

    async def stream(self, method: str, *arguments: Any, background: bool = False) -> AsyncGenerator[Any, None]:
        """Run a generator method in the child and yield its values as they come; errors as with `call`."""
        number, process = await self._send(method, arguments, background)
        finished = False
        with self._workers.foreground(not background):
            try:
                while True:
                    kind, rest = await process.waiting[number].get()
                    finished = kind != "item"
                    if finished:
                        _outcome(kind, rest)
                        return
                    yield rest[0]
            finally:
                self._forget(process, number, finished)

    async def rest(self) -> None:
        """End the child until the next use: what it holds in memory is given back."""
        async with self._lock:
            if self._process is not None:
                await self._process.close()

    async def close(self) -> None:
        """End the child; safe to call twice."""
        if self._process is not None:
            await self._process.close()
        self._workers.forget(self)

    def balance(self, foreground: bool) -> None:
        """Pause the child while others are in the foreground and it has nothing but background work."""
        process = self._process
        if process is not None:
            idle = not process.background
            process.pause(foreground and not idle and all(process.background.values()))

    async def _send(self, method: str, arguments: tuple[Any, ...], background: bool) -> tuple[int, _Process]:
        await self.start()
        process = self._process
        assert process is not None
        number = next(self._numbers)
        process.waiting[number] = asyncio.Queue()
        process.background[number] = background
        self._workers.balance()
        process.send("call", number, method, arguments)
        return number, process

    def _forget(self, process: _Process, number: int, finished: bool) -> None:
        del process.waiting[number], process.background[number]
        if not finished and process.alive:
            process.send("cancel", number)
        self._workers.balance()


class Workers:
    """All child processes of this process, and who of them may run."""

    def __init__(self) -> None:
        self._workers: list[Worker] = []
        self._foreground = 0

    def add(self, name: str, target: str, env: Mapping[str, str] | None = None) -> Worker:
        """A worker for `target`; nothing is started yet. `name` is what people are told when it dies."""
        worker = Worker(self, name, target, env)
        self._workers.append(worker)
        return worker

    def forget(self, worker: Worker) -> None:
        """Leave this worker out from now on."""
        if worker in self._workers:
            self._workers.remove(worker)

    def foreground(self, on: bool = True) -> Foreground:
        """A `with` block during which background work is paused; with False, one that changes nothing."""
        return Foreground(self, 1 if on else 0)

    def balance(self, by: int = 0) -> None:
        """Let run who may run now."""
        self._foreground += by
        for worker in self._workers:
            worker.balance(self._foreground > 0)

    async def close(self) -> None:
        """End every child process."""
        for worker in list(self._workers):
            await worker.close()


class Foreground:
    """See `Workers.foreground`."""

    def __init__(self, workers: Workers, weight: int) -> None:
        self._workers, self._weight = workers, weight

    def __enter__(self) -> None:
        self._workers.balance(self._weight)

    def __exit__(self, *_: object) -> None:
        self._workers.balance(-self._weight)


async def _spawn(target: str, env: Mapping[str, str]) -> asyncio.subprocess.Process:
    # -P: a file named like a module in the current folder must not be imported in its place.
    code = f"from chatapp.child import main; main({target!r})"
    return await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", code,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **env},
    )  # fmt: skip


def _outcome(kind: str, rest: list[Any]) -> Any:
    if kind == "result":
        return rest[0]
    if kind == "died":
        raise errors.WorkerDied(rest[0])
    name, text = rest
    known = getattr(errors, name, None)
    if isinstance(known, type) and issubclass(known, errors.ChatappError):
        raise known(text)
    raise errors.WorkerError(f"{name}: {text}")
