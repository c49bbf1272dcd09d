"""The remote engine on a real server that others wrote: `python -m llama_cpp.server` with the 0.5B model."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio

import chatapp_llama
from chatapp import Engine, Finished, Notice, Request, Sampling, Session, TextDelta, user
from tests.plugins.openai_support import ask, host_for, only, text_of
from tests.plugins.real import sampled, usage_of
from tests.support_plugins import started

pytest.importorskip("openai")
pytest.importorskip("fastapi")
pytestmark = pytest.mark.asyncio(loop_scope="module")
ALIAS = "qwen-0.5b"


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the server prints."""
    return tmp_path_factory.mktemp("server") / "log"


@pytest.fixture(scope="module")
def url(model_path: Path, log: Path) -> Iterator[str]:
    """The address of a server that has the model."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--model", str(model_path), "--model_alias", ALIAS, "--n_ctx", "2048", "--port", str(port)]
    with log.open("wb") as out:
        child = subprocess.Popen([sys.executable, "-u", "-m", "llama_cpp.server", *options], stdout=out, stderr=out)
        try:
            while not _answers(f"http://127.0.0.1:{port}/v1/models"):
                assert child.poll() is None, log.read_text(errors="replace")
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            child.terminate()
            child.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def _noticed(log: Path) -> None:
    """Wait until the server has noticed that its client went away."""
    while "Disconnected from client" not in log.read_text(errors="replace"):
        time.sleep(0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def session(url: str, model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Session]:
    """A conversation that begins with the local model, on a host that knows the server."""
    host = host_for(tmp_path_factory.mktemp("home"), url, model=str(model_path), context_length=2048)
    host.add("llama", chatapp_llama)
    async with started(host) as made:
        yield sampled(made, max_tokens=24)


async def test_a_conversation_goes_from_local_to_remote_and_back(session: Session, model_path: Path) -> None:
    models = []
    for model in (str(model_path), f"gpu/{ALIAS}", str(model_path)):
        async for _ in session.run(f'/model "{model}"'):
            pass
        events = await ask(session, "Of which country is Paris the capital? One word.")
        assert "France" in text_of(events)
        assert events[-1] == Finished("stop")
        assert usage_of(events).prompt_tokens > usage_of(events).completion_tokens > 0
        engine = session.host.engines.current()
        assert engine is not None
        models.append(engine.info.engine)
    assert models == ["llama", "openai", "llama"]
    assert [each.role for each in session.conversation.path()] == ["user", "assistant"] * 3


async def _open(session: Session) -> Engine:
    async with aclosing(session.host.engines.ready(session, model=f"gpu/{ALIAS}")) as news:
        async for _ in news:
            pass
    engine = session.host.engines.current()
    assert engine is not None
    return engine


async def test_what_that_server_can_do(session: Session) -> None:
    engine = await _open(session)
    assert engine.info.details["kind"] == "llama-cpp-python"
    assert await engine.count_tokens(["Hello there"]) == [2]
    assert engine.info.details["tokens"] == "counted"
    question = (user("What is the capital of France?"),)
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    bound = Sampling(temperature=0.0, max_tokens=40, json_schema=schema)
    events = [event async for event in engine.stream(Request(question, bound))]
    assert "Paris" in json.loads(text_of(events))["city"]
    likely = Sampling(temperature=0.0, max_tokens=3, logprobs=2, top_k=40)
    events = [event async for event in engine.stream(Request(question, likely))]
    assert events[-1] == Finished("length")
    first = next(each for each in only(events, TextDelta) if each.logprobs)
    assert len(first.logprobs[0].top) == 2
    assert first.logprobs[0].logprob <= 0
    assert only(events, Notice) == []


async def test_stopping_frees_that_server(session: Session, log: Path) -> None:
    engine = await _open(session)
    endless = Request((user("Count to a thousand."),), Sampling(temperature=0.0))
    async with aclosing(engine.stream(endless)) as events:
        async for event in events:
            if isinstance(event, TextDelta) and event.text:
                break
    await asyncio.to_thread(_noticed, log)
    brief = Request((user("Say hi."),), Sampling(temperature=0.0, max_tokens=2))
    assert text_of([event async for event in engine.stream(brief)])
