"""What the tests of our MCP server share: a plugin with tools for every case, and another program that calls them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters, types

from tests.support_cli import CHATAPP, WORDS, environment

PLUGIN = '''
"""An engine that shouts the question back, and tools for every case."""
import asyncio, os, subprocess, sys
from chatapp import Data, EngineInfo, EngineSpec, Finished, Progress, TextDelta, UsageError, action, hookimpl

@@WORDS@@
class Shout(Words):
    info = EngineInfo("shout", "shout", 4096)

    async def stream(self, request):
        for word in request.messages[-1].text.split():
            await asyncio.sleep(0.01)
            yield TextDelta(word.upper() + " ")
        yield Finished()

async def open_engine(host, config, report):
    return Shout()

@hookimpl
def engines():
    yield EngineSpec("shout", open_engine, accepts=lambda host, model: model == "shout")

@action("count up", tool=True, consent="free")
async def count_up(session, to: int):
    "Count, and be noisy about it."
    print("stray words on standard output", flush=True)
    subprocess.run([sys.executable, "-c", "print('a child prints')"], check=True)
    for number in range(to):
        yield Progress("Counting", number + 1, to)
        await asyncio.sleep(0.05)
    yield Data("counted", {"to": to}, f"Counted to {to}.")

@action("sleep", tool=True, consent="free")
async def sleep(session, note: str):
    "Start a child and wait for it."
    child = await asyncio.create_subprocess_exec("sleep", "1000")
    open(note, "w").write(str(child.pid))
    try:
        await child.wait()
    finally:
        child.kill()
        await child.wait()

@action("sink", tool=True)
async def sink(session, ship: str):
    "Sink a ship."
    return f"{ship} is sunk."

@action("launch", tool=True)
async def launch(session, ship: str):
    "Launch a ship."
    return f"{ship} is launched."

@action("refuse", tool=True, consent="free")
async def refuse(session):
    "Refuse politely."
    raise UsageError("Not today.")

@hookimpl
def actions():
    return [count_up, sleep, sink, launch, refuse]
'''.replace("@@WORDS@@", WORDS)


@dataclass(slots=True)
class Caller:
    """Another program: the SDK's client, and the user it would ask."""

    client: Client
    answers: list[types.ElicitResult]
    questions: list[str]

    async def call(self, name: str, **arguments: Any) -> tuple[str, bool]:
        """The text of a call's result, and whether it is an error."""
        result = await self.client.call_tool(name, arguments)
        return "".join(block.text for block in result.content if isinstance(block, types.TextContent)), result.is_error


@asynccontextmanager
async def calling(home: Path, *words: str, asks: bool, **how: Any) -> AsyncIterator[Caller]:
    """The SDK's client of `chatapp mcp`, which it starts; in a task of its own, as it must end where it began."""
    caller: asyncio.Future[Caller] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()
    answers: list[types.ElicitResult] = []
    questions: list[str] = []

    async def answer(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        questions.append(params.message)
        return answers.pop(0)

    async def live() -> None:
        command = StdioServerParameters(command=CHATAPP, args=["mcp", *words], env=environment(home), cwd=home)
        async with Client(command, elicitation_callback=answer if asks else None, **how) as client:
            caller.set_result(Caller(client, answers, questions))
            await over.wait()

    task = asyncio.create_task(live())
    both: list[asyncio.Future[Any]] = [task, caller]
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    try:
        yield await caller if not task.done() else task.result()  # type: ignore[misc]
    finally:
        over.set()
        await task


def made_home(folder: Path) -> Path:
    """A home with that plugin, where one of the two tools that ask is allowed."""
    plugins = folder / "config" / "plugins"
    plugins.mkdir(parents=True)
    (plugins / "ships.py").write_text(PLUGIN)
    (folder / "config" / "settings.toml").write_text('model = "shout"\n[tools]\nmcp_allowed = ["launch"]\n')
    return folder
