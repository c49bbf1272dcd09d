"""Painting: beside a bare diffusers loop, beside an answer, and what typing feels like meanwhile."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import PIPE
from contextlib import aclosing, suppress
from pathlib import Path

import chatapp_images
from chatapp import EngineConfig, PictureRequest, PictureStep, Session
from chatapp.testing import RecordingUI, make_host
from chatapp_images.engine import DiffusersPainter, open_painter
from chatapp_images.models import embedded
from chatapp_images.options import ImagesSettings
from tests.bench.bench_engine import host_in, ours
from tests.bench.bench_interface import Terminal
from tests.bench.figure import Figure, median_ratio

STEPS, ROUNDS, KEYS = 40, 7, 60
PREVIEWS = ImagesSettings.model_fields["preview_every"].default
ENDLESS = 1000
"""Steps of a picture that is painted for longer than it is measured."""


async def paint(painter: DiffusersPainter, every: int) -> float:
    """Steps a second, from the first that is told to the last."""
    at: list[float] = []
    async with aclosing(painter.paint(PictureRequest("a red apple", 1, steps=STEPS, preview_every=every))) as steps:
        async for step in steps:
            if isinstance(step, PictureStep):
                at.append(time.perf_counter())
    return (STEPS - 1) / (at[-1] - at[0])


async def painting(model: Path) -> list[Figure]:
    """Steps a second in the application and in a bare script, in turns, with the embedded model."""
    cores = len(os.sched_getaffinity(0))
    command = ["-W", "ignore", "-m", "tests.bench.bare_diffusers", str(embedded("icons")), str(STEPS), str(cores)]
    peer = await asyncio.create_subprocess_exec(sys.executable, *command, stdin=PIPE, stdout=PIPE)
    assert peer.stdin is not None
    assert peer.stdout is not None
    plain, shown = [], []
    with tempfile.TemporaryDirectory() as folder:
        host = make_host(Path(folder), RecordingUI())
        host.add("images", chatapp_images)
        try:
            painter = await open_painter(host, EngineConfig("icons", kind="image"), lambda progress: None)
            for turn in range(ROUNDS + 1):
                peer.stdin.write(b"paint\n")
                bare = float(await peer.stdout.readline())
                pairs = (await paint(painter, 0), bare), (await paint(painter, PREVIEWS), bare)
                # The first ones of both are slower: what they need is made then.
                if turn:
                    plain.append(pairs[0])
                    shown.append(pairs[1])
            await painter.close()
        finally:
            await host.shutdown()
            peer.stdin.close()
            await peer.wait()
    return [
        Figure("steps/s of painting to bare diffusers", median_ratio(plain), "ratio", 0.95, samples=tuple(plain)),
        Figure("the same with previews", median_ratio(shown), "ratio", 0.95, samples=tuple(shown)),
    ]


async def answering_beside_painting(model: Path) -> list[Figure]:
    """Tokens a second while a picture is painted, and without."""
    with tempfile.TemporaryDirectory() as folder:
        host = host_in(Path(folder), model)
        host.add("images", chatapp_images)
        session = Session(host)
        pairs = []
        try:
            painter = await open_painter(host, EngineConfig("icons", kind="image"), lambda progress: None)
            await ours(session)
            for _ in range(ROUNDS):
                alone = await ours(session)
                async with aclosing(painter.paint(PictureRequest("a cat", 1, steps=ENDLESS))) as steps:
                    await anext(steps)
                    pairs.append((await ours(session), alone))
            await painter.close()
        finally:
            await host.shutdown()
    return [Figure("tokens/s: beside painting to alone", median_ratio(pairs), "ratio", 0.9, samples=tuple(pairs))]


def typing_beside_painting(model: Path) -> list[Figure]:
    """Milliseconds from a key to its letter on the screen while a picture is painted with previews."""
    taken = []
    with tempfile.TemporaryDirectory() as home:
        terminal = Terminal(model, home)
        try:
            terminal.until(b"sk anything")
            terminal.type(f"/image a cat --steps {ENDLESS}\r")
            terminal.until(b"step 1")
            for number in range(KEYS):
                terminal.read()
                terminal.text = b""
                letter = "ΩΨΞΔΛΓ"[number % 6]
                begun = time.perf_counter()
                terminal.type(letter)
                while letter.encode() not in terminal.text:
                    terminal.read()
                    time.sleep(0.001)
                taken.append((time.perf_counter() - begun) * 1000)
        finally:
            with suppress(OSError):
                terminal.close()
    value = statistics.quantiles(taken, n=20)[-1]
    return [Figure("a key while painting, 95th percentile", value, "ms", 50.0, at_least=False)]
