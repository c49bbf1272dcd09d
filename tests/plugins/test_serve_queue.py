"""`chatapp serve` with the scripted engine: whose turn it is, clients that go away, and limits."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chatapp import Event, Request, Session
from chatapp.testing import ScriptedEngine
from tests.plugins.serve_support import Serving, ask, fresh, post, read, scripted, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

ENDLESS = "word " * 100_000


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def _served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serving]:
    async with scripted(tmp_path_factory.mktemp("served"), ScriptedEngine()) as made:
        yield made


@pytest.fixture
def engine(_served: Serving) -> ScriptedEngine:
    """The engine behind the server, as if it had just been opened."""
    return fresh(_served)


@pytest.fixture
def served(_served: Serving, engine: ScriptedEngine) -> Serving:
    """A served host."""
    return _served


def _begin(served: Serving, text: str, **more: Any) -> asyncio.Task[str]:
    return asyncio.create_task(read(served, ask(text, **more)))


async def _holding(served: Serving, engine: ScriptedEngine, stream: bool = True) -> asyncio.Task[str]:
    """A client whose answer has begun and does not end."""
    engine.delay = 0.001
    engine.says(ENDLESS)
    task = _begin(served, "hold", stream=stream)
    await until(lambda: bool(engine.requests))
    return task


async def _leave(task: asyncio.Task[str]) -> None:
    task.cancel()
    await asyncio.wait([task])


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_goes_away_stops_its_answer(served: Serving, engine: ScriptedEngine, stream: bool) -> None:
    await _leave(await _holding(served, engine, stream))
    await until(lambda: engine.stopped == 1)
    assert (await post(served, "Hi"))["choices"][0]["message"]["content"] == "OK."


@pytest.mark.parametrize("stream", [True, False])
async def test_a_client_that_goes_away_while_it_waits(served: Serving, engine: ScriptedEngine, stream: bool) -> None:
    turns = served.api.answering.turns
    holder = await _holding(served, engine)
    waiting = _begin(served, "waits", stream=stream)
    await until(lambda: turns.waiting == 1)
    await _leave(waiting)
    await until(lambda: turns.waiting == 0)
    await _leave(holder)
    await post(served, "Hi")
    assert [each.messages[-1].text for each in engine.requests] == ["hold", "Hi"]


async def test_each_client_has_its_turn(served: Serving, engine: ScriptedEngine) -> None:
    turns = served.api.answering.turns
    holder = await _holding(served, engine)
    tasks = []
    for number, (text, user) in enumerate(
        [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b"), ("c1", "c"), ("b2", "b")]
    ):
        tasks.append(_begin(served, text, user=user))
        await until(lambda expected=number + 1: turns.waiting == expected)  # type: ignore[misc]
    await _leave(holder)
    await asyncio.gather(*tasks)
    assert [each.messages[-1].text for each in engine.requests[1:]] == ["a1", "b1", "c1", "a2", "b2", "a3"]


async def test_more_than_may_wait_are_turned_away(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with scripted(tmp_path, engine, queue=2) as served:
        holder = await _holding(served, engine)
        waiting = [_begin(served, "x") for _ in range(2)]
        await until(lambda: served.api.answering.turns.waiting == 2)
        for stream in (True, False):
            refused = await served.bare.post("/chat/completions", json=ask("x", stream=stream))
            assert (refused.status_code, refused.headers["Retry-After"]) == (429, "5")
        await _leave(holder)
        assert all("OK." in each for each in await asyncio.gather(*waiting))


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_that_takes_too_long(tmp_path: Path, stream: bool) -> None:
    engine = ScriptedEngine([ENDLESS], delay=0.05)
    async with scripted(tmp_path, engine, seconds=1) as served:
        found = await read(served, ask("x", stream=stream))
        last = json.loads(found.strip().rpartition("data: ")[2])
        assert last["error"]["message"] == "The answer took longer than the 1 s it may take."
        assert engine.stopped == 1


async def test_a_client_that_reads_nothing_holds_nobody_up(served: Serving, engine: ScriptedEngine) -> None:
    engine.says(" ".join(["x" * 10_000] * 800))
    body = ask("slow", stream=True)
    async with served.bare.stream("POST", "/chat/completions", json=body) as slow:
        assert slow.status_code == 200
        assert (await post(served, "Hi"))["choices"][0]["message"]["content"] == "OK."
        assert engine.stopped == 0


class Echo(ScriptedEngine):
    """Answers with the question."""

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """The words of the newest message."""
        self.answers = [request.messages[-1].text]
        async with aclosing(super().stream(request)) as events:
            async for event in events:
                yield event


async def _one(served: Serving, number: int) -> str:
    """One client's request, of one of four kinds; what is wrong with its answer."""
    question = f"question {number} of a client" + " and more" * (number % 7)
    kind = number % 4
    if kind == 0:
        malformed = await served.bare.post("/chat/completions", json={"messages": number})
        return "" if malformed.status_code == 400 else f"{number}: {malformed.text}"
    if kind == 1 and number % 8 == 1:
        async with served.bare.stream("POST", "/chat/completions", json=ask("word " * 500, stream=True)) as cut:
            await anext(cut.aiter_lines())
        return ""
    stream = kind == 2
    found = await read(served, ask(question, stream=stream))
    events = [line[6:] for line in found.split("\n\n") if line != "data: [DONE]"] if stream else [found]
    choices = [json.loads(each)["choices"][0] for each in events if each]
    said = "".join(_text(each) for each in choices)
    return "" if said == question else f"{question!r} was answered with {said!r}"


def _text(choice: dict[str, Any]) -> str:
    found: dict[str, Any] = choice["delta"] if "delta" in choice else choice["message"]
    return found.get("content") or ""


async def test_fifty_clients_at_once(tmp_path: Path) -> None:
    async with scripted(tmp_path, Echo()) as served:
        clients = asyncio.Semaphore(50)

        async def client(number: int) -> str:
            async with clients:
                return await _one(served, number)

        wrong = await asyncio.gather(*(client(number) for number in range(300)))
        assert [each for each in wrong if each] == []
        turns = served.api.answering.turns
        await until(lambda: turns.waiting == 0)
        await post(served, "Hi")
        gc.collect()
        # What a request needed is gone when it is answered.
        assert sum(type(each) is Session for each in gc.get_objects()) <= 1
