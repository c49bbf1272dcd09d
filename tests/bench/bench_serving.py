"""`chatapp serve` beside `python -m llama_cpp.server` on the same model, and under the load of many clients."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil

from tests.bench.figure import Figure, median_ratio

ROUNDS = 3
CLIENTS = 4
REQUESTS = 3
"""Of each client, in a round."""
TOKENS = 24
STORY = "The ships left the harbour at dawn, and nobody knew where they were bound. " * 12
TALKS = 2
TURNS = 4
MANY = 500
AT_ONCE = 50
CHAT = "/chat/completions"


@dataclass(frozen=True, slots=True)
class Server:
    """A running server, and a client of it."""

    client: httpx2.AsyncClient
    pid: int

    def memory(self) -> float:
        """What its process holds, in MB; a model is in a child of it."""
        return float(psutil.Process(self.pid).memory_info().rss) / 1e6


@asynccontextmanager
async def running(port: int, *command: str) -> AsyncIterator[Server]:
    """The server that this command starts on that port, once it answers."""
    with tempfile.TemporaryDirectory() as home:
        quiet = asyncio.subprocess.DEVNULL
        environment = {**os.environ, "CHATAPP_HOME": home}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *command, stdout=quiet, stderr=quiet, env=environment
        )
        limits = httpx2.Limits(max_connections=AT_ONCE)
        base = f"http://127.0.0.1:{port}/v1"
        try:
            async with httpx2.AsyncClient(base_url=base, timeout=600, limits=limits, trust_env=False) as client:
                while not await _answers(client):
                    assert process.returncode is None, f"{command} ended with {process.returncode}"
                    await asyncio.sleep(0.1)
                yield Server(client, process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            await process.wait()


async def _answers(client: httpx2.AsyncClient) -> bool:
    try:
        return (await client.get("/models")).status_code == 200
    except httpx2.TransportError:
        return False


def _port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@asynccontextmanager
async def both(model: Path) -> AsyncIterator[tuple[Server, Server]]:
    """Ours and theirs, with as many threads and as long a context."""
    ports = _port(), _port()
    threads = str(len(os.sched_getaffinity(0)))
    theirs = ["--model", str(model), "--n_ctx", "4096", "--n_threads", threads, "--n_threads_batch", threads]
    # Without the last, a request there ends the one before it.
    theirs += ["--port", str(ports[1]), "--interrupt_requests", "false"]
    async with AsyncExitStack() as stack:
        yield (
            await stack.enter_async_context(
                running(ports[0], "chatapp", "--model", str(model), "serve", "--port", str(ports[0]))
            ),
            await stack.enter_async_context(running(ports[1], "llama_cpp.server", *theirs)),
        )


async def _ask(server: Server, messages: Sequence[dict[str, str]], tokens: int) -> tuple[str, int]:
    """The answer, and how many tokens it is."""
    body = {"messages": messages, "max_tokens": tokens, "temperature": 0.0}
    found = (await server.client.post(CHAT, json=body)).raise_for_status().json()
    return found["choices"][0]["message"]["content"], found["usage"]["completion_tokens"]


async def _many_clients(server: Server, number_of_round: int) -> float:
    """Tokens a second of several clients at once, each with questions that nobody asked before."""

    async def client(number: int) -> int:
        total = 0
        for request in range(REQUESTS):
            place = (number_of_round * CLIENTS + number) * REQUESTS + request
            question = f"{place} is a number: write about it."
            total += (await _ask(server, [{"role": "user", "content": question}], TOKENS))[1]
        return total

    begun = time.perf_counter()
    tokens = await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return sum(tokens) / (time.perf_counter() - begun)


async def _in_turns(server: Server, number_of_round: int) -> float:
    """Requests a second of conversations in turns, each with a long beginning that is new to the server."""
    beginnings = (number_of_round * TALKS + number for number in range(TALKS))
    talks = [[{"role": "user", "content": f"{number}. {STORY}"}] for number in beginnings]
    begun = time.perf_counter()
    for turn in range(TURNS):
        for talk in talks:
            said, _ = await _ask(server, talk, 8)
            talk += [{"role": "assistant", "content": said}, {"role": "user", "content": f"Go on, part {turn}."}]
    return TALKS * TURNS / (time.perf_counter() - begun)


async def serving(model: Path) -> list[Figure]:
    """Throughput beside the other server's; they take turns, and only one of them is busy at a time."""
    async with both(model) as servers:
        for server in servers:
            await _ask(server, [{"role": "user", "content": "Hello"}], 4)
        clients = await _pairs(servers, _many_clients)
        turns = await _pairs(servers, _in_turns)
    requests = median_ratio(clients), median_ratio(turns)
    return [
        Figure("serve: tokens/s of 4 clients to llama_cpp.server", requests[0], "ratio", 0.9, samples=clients),
        Figure("serve: talks in turns to llama_cpp.server", requests[1], "ratio", 1.0, samples=turns),
        Figure("serve: tokens/s of 4 clients", statistics.median(ours for ours, _ in clients), "tokens/s"),
    ]


async def _pairs(
    servers: tuple[Server, Server], measure: Callable[[Server, int], Awaitable[float]]
) -> tuple[tuple[float, float], ...]:
    pairs = []
    for number in range(ROUNDS):
        ours, theirs = [await measure(server, number) for server in servers]
        pairs.append((ours, theirs))
    return tuple(pairs)


async def serving_many(model: Path) -> list[Figure]:
    """500 requests of 50 clients, some malformed and some cut in the middle, to an engine that repeats the question."""
    port = _port()
    async with running(port, "chatapp", "--model", "echo", "serve", "--port", str(port)) as server:
        # What is loaded once, by the first requests, is no growth.
        await _load(server)
        before = server.memory()
        begun = time.perf_counter()
        wrong = await _load(server)
        seconds = time.perf_counter() - begun
        growth = server.memory() - before
    return [
        Figure("serve: wrong or lost of 500 requests", float(wrong), "requests", 0.0, at_least=False),
        Figure("serve: requests/s of 50 clients", MANY / seconds, "1/s"),
        Figure("serve: memory after 500 requests more", growth, "MB", 5.0, at_least=False),
    ]


async def _load(server: Server) -> int:
    room = asyncio.Semaphore(AT_ONCE)

    async def client(number: int) -> bool:
        async with room:
            return await _one(server, number)

    return sum(not right for right in await asyncio.gather(*(client(number) for number in range(MANY))))


async def _one(server: Server, number: int) -> bool:
    """Whether this request, of one of four kinds, was answered as it had to be."""
    question = f"question {number} " + "and so on " * (number % 9)
    body: dict[str, Any] = {"messages": [{"role": "user", "content": question}], "user": f"client {number % AT_ONCE}"}
    if number % 10 == 0:
        return (await server.client.post(CHAT, json={"messages": number})).status_code == 400
    if number % 10 == 5:
        async with server.client.stream("POST", CHAT, json={**body, "stream": True}) as cut:
            return bool(await anext(cut.aiter_lines()))
    found = (await server.client.post(CHAT, json={**body, "stream": number % 2 == 0})).raise_for_status().text
    if number % 2:
        return f"question {number} " in json.loads(found)["choices"][0]["message"]["content"]
    events = [json.loads(line[6:]) for line in found.split("\n\n") if line and line != "data: [DONE]"]
    said = "".join(each["choices"][0]["delta"].get("content", "") for each in events)
    return f"question {number} " in said and found.endswith("[DONE]\n\n")
