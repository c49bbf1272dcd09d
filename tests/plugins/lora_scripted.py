"""A training whose steps the tests decide, and a session with the adapters plugin that trains with it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import chatapp_lora
from chatapp import EngineError, Event, Host, Progress, Session, Text, assistant, commands, user
from chatapp.testing import MODEL, RecordingUI, ScriptedEngine, make_host
from chatapp_lora.learning import school
from chatapp_lora.lesson import News
from chatapp_lora.training.plan import Plan, Step, Trained
from tests.plugins.test_inspect_gguf import made

BASE: dict[str, Any] = {
    "general.architecture": "qwen2",
    "qwen2.block_count": 2,
    "qwen2.attention.head_count": 4,
    "qwen2.attention.head_count_kv": 2,
    "qwen2.embedding_length": 64,
    "qwen2.feed_forward_length": 128,
    "qwen2.context_length": 512,
}
BYTES = b"an adapter"


class ScriptedLearner:
    """Learns nothing, one step after the other: those after `free` wait for `let`. Remembers how far each plan came.

    `runs` are the plans it was given, `stopped` counts streams that were closed early, `fails` is raised before the
    next step; `bytes` are what it makes.
    """

    def __init__(self, free: int | None = None) -> None:
        self.free = free
        self._go = asyncio.Event()
        self.runs: list[Plan] = []
        self.reached: dict[str, int] = {}
        self.stopped = self.closed = 0
        self.fails = ""
        self.bytes = BYTES

    def let(self, free: int | None = None) -> None:
        """Let it go on until so many steps are done; None: to the end."""
        self.free = free
        self._go.set()

    async def run(self, plan: Plan) -> AsyncGenerator[News, None]:
        """See `chatapp_lora.learning.Learner`."""
        self.runs.append(plan)
        finished = False
        try:
            yield Progress("Unpacking the model", 1, 2, "layers")
            for number in range(self.reached.get(plan.name, 0) + 1, plan.steps + 1):
                while self.free is not None and number > self.free:
                    self._go.clear()
                    await self._go.wait()
                if self.fails:
                    raise EngineError(self.fails)
                self.reached[plan.name] = number
                yield step(number, plan)
            finished = True
        finally:
            self.stopped += not finished
        path = plan.folder / "adapter.gguf"
        path.write_bytes(self.bytes)
        yield Trained(path, plan.steps, plan.steps, 0.5, 0.75, 83.0, 3_000_000_000, {"versions": {"torch": "2"}})

    async def close(self) -> None:
        """Counts."""
        self.closed += 1


def step(number: int, plan: Plan) -> Step:
    """A step whose losses fall, with some noise that is always the same."""
    loss = 0.4 + 2.6 * math.exp(-number / 9) + 0.25 * math.sin(number * 2.4) * math.exp(-number / 20)
    held_out = 0.55 + 2.4 * math.exp(-number / 8) if number % plan.evaluate_every == 0 else None
    return Step(number, loss, 2.9, held_out, 3_010_000_000)


def with_training(host: Host, folder: Path, learner: ScriptedLearner) -> None:
    """The adapters plugin on this host, with that learner and a base model of a few bytes called like the engine's."""
    host.add("chatapp", commands) if "chatapp" not in host.plugins else None
    host.add("lora", chatapp_lora)
    school(host).make = lambda _: learner
    path = folder / "base.gguf"
    path.write_bytes(made(BASE))


async def add_base(host: Host, folder: Path) -> None:
    """Make the base model known under the name of the scripted engine's model."""
    async with aclosing(host.models.add(folder / "base.gguf", MODEL)) as steps:
        async for _ in steps:
            pass


@asynccontextmanager
async def training_in(
    folder: Path, learner: ScriptedLearner, engine: ScriptedEngine | None = None, *answers: Any, **settings: Any
) -> AsyncIterator[Session]:
    """A started session with the plugin; questions are answered by `answers`."""
    host = make_host(folder, RecordingUI(list(answers)), engine, **settings)
    with_training(host, folder, learner)
    await add_base(host, folder)
    await host.startup()
    try:
        yield Session(host)
    finally:
        await host.shutdown()


def chats(folder: Path, count: int = 20, name: str = "chats.jsonl") -> Path:
    """A file of so many different chats."""
    path = folder / name
    rows = [{"input": f"What is {number} plus 1?", "output": f"{number + 1}. Ahoy!"} for number in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def talked(session: Session, *pairs: tuple[str, str]) -> None:
    """Put questions and answers into the conversation."""
    for question, answer in pairs:
        session.conversation.append(user(question))
        session.conversation.append(assistant(answer))


async def told(session: Session, line: str) -> list[Event]:
    """All a command line tells."""
    async with contextlib.aclosing(session.run(line)) as events:
        return [event async for event in events]


def text_of(events: list[Event]) -> str:
    """What it says, its lines joined."""
    return "\n".join(event.text for event in events if isinstance(event, Text))


async def until(true: Callable[[], object]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 (the scripted training sets no event)
            await asyncio.sleep(0.005)


async def stopped(session: Session, learner: ScriptedLearner, line: str, step: int) -> None:
    """Run a line until so many steps are done, then stop it as Esc does."""
    training = asyncio.create_task(told(session, line))
    await until(lambda: learner.reached.get("a") == step)
    training.cancel()
    with pytest.raises(asyncio.CancelledError):
        await training
