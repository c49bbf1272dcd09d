"""`chatapp serve` in this process, on a real socket, with the scripted engine or another host's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from openai import AsyncOpenAI

import chatapp_serve
from chatapp import Host, commands
from chatapp.testing import ScriptedEngine, make_host
from chatapp_serve.app import Api
from chatapp_serve.commands import _bound
from chatapp_serve.listening import listening


@dataclass(slots=True)
class Serving:
    """A served host: its address, OpenAI's own client and a bare one for what that client never sends."""

    api: Api
    host: Host
    address: str
    client: AsyncOpenAI
    bare: httpx2.AsyncClient


@asynccontextmanager
async def serving(host: Host, token: str = "") -> AsyncIterator[Serving]:
    """Serve this host on a free port; its plugin "serve" must be there."""
    api = Api(host, token)
    async with listening(api.app, _bound("127.0.0.1", 0)) as (address, _):
        base = f"{address}/v1"
        async with (
            AsyncOpenAI(base_url=base, api_key=token or "none", max_retries=0) as client,
            httpx2.AsyncClient(base_url=base, timeout=60, trust_env=False) as bare,
        ):
            yield Serving(api, host, address, client, bare)


@asynccontextmanager
async def scripted(
    folder: Path, engine: ScriptedEngine | None = None, plugins: Mapping[str, Any] | None = None, **settings: Any
) -> AsyncIterator[Serving]:
    """A served host with the scripted engine and these `plugins`; `settings` are those of the plugin "serve"."""
    tables: dict[str, Any] = {"serve": settings} if settings else {}
    host = make_host(folder, scripted=engine, **tables)
    host.add("chatapp", commands)
    for name, module in {"serve": chatapp_serve, **(plugins or {})}.items():
        host.add(name, module)
    await host.startup()
    try:
        async with serving(host) as made:
            yield made
    finally:
        await host.shutdown()


def fresh(served: Serving) -> ScriptedEngine:
    """The scripted engine behind a server that several tests share, as if it had just been opened."""
    engine: ScriptedEngine = served.host.plugins["scripted"].module.engine
    engine.answers.clear()
    engine.requests.clear()
    engine.delay, engine.stopped = 0.0, 0
    return engine


def ask(text: str, **more: Any) -> dict[str, Any]:
    """The body of a request with one message."""
    return {"model": "", "messages": [{"role": "user", "content": text}], **more}


async def post(served: Serving, text: str, **more: Any) -> Any:
    """The whole answer to one message, as JSON values."""
    found = await served.bare.post("/chat/completions", json=ask(text, **more))
    assert found.status_code == 200, found.text
    return found.json()


async def read(served: Serving, body: dict[str, Any]) -> str:
    """All of an answer, streamed or not, as it came."""
    async with served.bare.stream("POST", "/chat/completions", json=body) as answer:
        return (await answer.aread()).decode()


async def until(true: Callable[[], bool]) -> None:
    """Wait for what nobody tells; the test's own time limit ends it."""
    while not true():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


def address(served: Serving) -> tuple[str, int]:
    """Host and port, for a bare socket."""
    parts = urlsplit(served.address)
    return str(parts.hostname), int(parts.port or 0)
