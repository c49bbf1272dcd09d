"""A real `chatapp serve` in a process of its own: how it begins and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.plugins.serve_support import ask
from tests.support_plugins import write_plugin

SLOW = """
import asyncio
from chatapp import EngineInfo, EngineSpec, TextDelta, hookimpl

class Slow:
    info = EngineInfo("slow", "slow", 4096)

    async def stream(self, request):
        while True:
            yield TextDelta("word ")
            await asyncio.sleep(0.01)

    async def count_tokens(self, texts):
        return [len(text.split()) for text in texts]

    async def tune(self, config):
        return True

    async def close(self):
        print("closed")

async def opened(host, config, report):
    return Slow()

@hookimpl
def engines():
    yield EngineSpec("slow", opened, accepts=lambda host, model: model == "slow", models=lambda host: ["slow"])
"""


@asynccontextmanager
async def _child(home: Path, *options: str, **environ: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "chatapp", "--model", "slow", "serve", "--port", "0", *options),
        env={**os.environ, "CHATAPP_HOME": str(home), **environ},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def _line(process: asyncio.subprocess.Process, begin: str) -> str:
    assert process.stdout is not None
    while not (line := (await process.stdout.readline()).decode()).startswith(begin):
        assert line, (await process.communicate())[1].decode()
    return line.removeprefix(begin).strip()


async def test_ctrl_c_ends_it_with_requests_under_way(tmp_path: Path) -> None:
    write_plugin(tmp_path, "slow", SLOW)
    async with _child(tmp_path) as process:
        base = await _line(process, "Answering on ")
        async with httpx2.AsyncClient(base_url=base, timeout=60, trust_env=False) as client:
            async with client.stream("POST", "/chat/completions", json=ask("Hi", stream=True)) as answer:
                lines = answer.aiter_lines()
                await anext(lines)
                waiting = asyncio.create_task(client.post("/chat/completions", json=ask("Hi")))
                half = await _half_a_request(base)
                process.send_signal(signal.SIGINT)
                with pytest.raises(httpx2.HTTPError):
                    async for _ in lines:
                        pass
            with pytest.raises(httpx2.HTTPError):
                await waiting
            half.close()
        out, err = await process.communicate()
        assert (process.returncode, err.decode().strip()) == (130, "Interrupted.")
        assert "closed" in out.decode()


async def _half_a_request(base: str) -> Any:
    _, writer = await asyncio.open_connection("127.0.0.1", int(base.split(":")[2].removesuffix("/v1")))
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    writer.write(head + b"Content-Length: 50\r\n\r\n{")
    await writer.drain()
    return writer


async def test_on_other_addresses_a_token_is_made_up(tmp_path: Path) -> None:
    write_plugin(tmp_path, "slow", SLOW)
    async with _child(tmp_path, "--host", "0.0.0.0") as process:
        base = (await _line(process, "Answering on ")).replace("0.0.0.0", "127.0.0.1")
        token = await _line(process, "The token, to be given as the API key: ")
        async with httpx2.AsyncClient(base_url=base, trust_env=False) as client:
            assert (await client.get("/models")).status_code == 401
            found = await client.get("/models", headers={"Authorization": f"Bearer {token}"})
            assert "slow" in [each["id"] for each in found.json()["data"]]
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
        assert "What is sent is not encrypted" in err.decode()


@pytest.mark.parametrize(
    ("options", "environ", "said"),
    [
        ((), {"CHATAPP_SERVE_TOKEN": "short"}, "The token has 5 characters; take 16 or more."),
        (("--token-file", "/nowhere/at/all"), {}, "The token cannot be read from /nowhere/at/all"),
        (("--host", "192.0.2.1"), {}, "cannot be used"),
    ],
)
async def test_what_it_cannot_begin_with(
    tmp_path: Path, options: tuple[str, ...], environ: dict[str, str], said: str
) -> None:
    async with _child(tmp_path, *options, **environ) as process:
        out, err = await process.communicate()
        assert (process.returncode, out) == (2, b"")
        assert said in err.decode()
        assert "Traceback" not in err.decode()


async def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        async with _child(tmp_path, "--port", port) as process:
            _, err = await process.communicate()
            assert err.decode().startswith(f"Error: Port {port} on '127.0.0.1' cannot be used")
