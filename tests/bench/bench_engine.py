"""The engine beside a bare llama-cpp-python script: speed, first byte, memory, and speed beside a busy worker."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import psutil

import chatapp_llama
from chatapp import Host, Session, TextDelta, commands
from chatapp.testing import make_host
from tests.bench.figure import Figure, median_difference, median_ratio

PROMPT = "Explain in detail how a steam engine works."
TOKENS = 120
ROUNDS = 5
BARE = Path(__file__).with_name("bare.py")


def host_in(folder: Path, model: Path) -> Host:
    """A host with the llama plugin."""
    host = make_host(folder, model=str(model), engine="llama", system="", sampling={"temperature": 0.0})
    host.add("chatapp", commands)
    host.add("llama", chatapp_llama)
    return host


async def bare(model: Path, count: int = TOKENS) -> dict[str, float]:
    """One run of the bare script."""
    command = [sys.executable, str(BARE), str(model), PROMPT, str(count)]
    child = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, errors = await child.communicate()
    figures: dict[str, float] = json.loads(errors.splitlines()[-1])
    return figures


async def ours(session: Session) -> float:
    """Tokens a second as a client of Session.send sees them, from the first text to the last."""
    session.values["sampling"] = {"temperature": 0.0, "repeat_penalty": 1.0, "max_tokens": TOKENS}
    first = last = 0.0
    async with aclosing(session.send(PROMPT) if not len(session.conversation) else session.regenerate()) as events:
        async for event in events:
            if isinstance(event, TextDelta):
                last = time.perf_counter()
                first = first or last
    assert session.turn is not None
    assert session.turn.usage is not None
    return (session.turn.usage.completion_tokens - 1) / (last - first)


async def speed(model: Path) -> list[Figure]:
    """Tokens a second and memory; ours and the bare script's take turns."""
    with tempfile.TemporaryDirectory() as folder:
        host = host_in(Path(folder), model)
        session = Session(host)
        try:
            pairs = [(await ours(session), (await bare(model))["tokens_per_second"]) for _ in range(ROUNDS)]
            (engine,) = psutil.Process().children()
            memory = peak(engine.pid) / 1e3, (await bare(model))["peak_kilobytes"] / 1e3
        finally:
            await host.shutdown()
    return [
        Figure("tokens/s: Session.send to bare", median_ratio(pairs), "ratio", 0.95, samples=tuple(pairs)),
        Figure("peak memory: engine to bare", memory[0] / memory[1], "ratio", 1.10, at_least=False, samples=(memory,)),
    ]


def peak(pid: int) -> int:
    """The most memory a process has had, in kilobytes (Linux; now's elsewhere)."""
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM"))
    return int(psutil.Process(pid).memory_info().rss // 1000)


def first_byte(command: list[str], home: str) -> float:
    """Seconds from starting a command to its first byte of output."""
    begun = time.perf_counter()
    environment = {**os.environ, "CHATAPP_HOME": home}
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        seconds = time.perf_counter() - begun
        process.stdout.read()
    return seconds


def cold_start(model: Path) -> list[Figure]:
    """`chatapp ask` beside the bare script, each in a fresh process; the files are in the page cache for both."""
    with tempfile.TemporaryDirectory() as home:
        ask = [str(Path(sys.executable).with_name("chatapp")), "ask", "--model", str(model), "--temperature", "0"]
        commands = [*ask, "--max-tokens", "8", PROMPT], [sys.executable, str(BARE), str(model), PROMPT, "8"]
        pairs = [(first_byte(commands[0], home), first_byte(commands[1], home)) for _ in range(ROUNDS + 1)][1:]
    return [
        Figure(
            "first byte: chatapp ask after bare",
            median_difference(pairs),
            "s",
            0.5,
            at_least=False,
            samples=tuple(pairs),
        )
    ]


async def beside_a_busy_worker(model: Path) -> list[Figure]:
    """Tokens a second while two background workers have endless work, and without."""
    with tempfile.TemporaryDirectory() as folder:
        host = host_in(Path(folder), model)
        session = Session(host)
        busy = [host.workers.add(f"busy{number}", "tests.services:Counter") for number in range(2)]
        pairs = []
        try:
            await ours(session)
            for _ in range(ROUNDS):
                alone = await ours(session)
                async with AsyncExitStack() as stack:
                    for worker in busy:
                        work = await stack.enter_async_context(aclosing(worker.stream("burn", background=True)))
                        await anext(work)
                    pairs.append((await ours(session), alone))
        finally:
            await host.shutdown()
    return [Figure("tokens/s: beside busy workers to alone", median_ratio(pairs), "ratio", 0.85, samples=tuple(pairs))]
