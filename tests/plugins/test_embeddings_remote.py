"""Vectors from a server: a real one on this machine, which answers well, badly, late or not at all."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import chatapp_embeddings
from chatapp import Embedder, EngineError, Host, OfflineError, Progress, Session
from chatapp.testing import RecordingUI, make_host
from chatapp_embeddings import remote
from chatapp_embeddings.remote import RemoteEmbedder

pytest.importorskip("openai")

VECTORS = {"one": [3.0, 4.0], "two": [0.0, 2.0], "three": [1.0, 1.0]}


@dataclass
class Server:
    """What the server answers: vectors, unless `status` or `body` say otherwise; `turns` reverses their order.

    `asked` are the bodies it got and `keys` the authorisations.
    """

    url: str = ""
    status: int = 200
    body: str | None = None
    turns: bool = False
    indexed: bool = True
    silent: bool = False
    failures: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)

    def answer(self, request: dict[str, Any]) -> tuple[int, str]:
        """Status and body for one request."""
        self.asked.append(request)
        if self.failures:
            self.failures -= 1
            return 503, "{}"
        if self.status != 200 or self.body is not None:
            return self.status, self.body or '{"error": {"message": "no"}}'
        rows = [
            {"object": "embedding", "embedding": VECTORS.get(text, [1.0, 0.0])}
            | ({"index": place} if self.indexed else {})
            for place, text in enumerate(request["input"])
        ]
        return 200, json.dumps({"object": "list", "data": rows[::-1] if self.turns else rows, "model": "toy"})


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on a free port of this machine."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.keys.append(self.headers["Authorization"])
            while state.silent and not state.stopped.wait(0.02):
                continue
            status, body = state.answer(request) if self.path == "/v1/embeddings" else (404, "{}")
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_port}/v1"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield state
        finally:
            state.stopped.set()
            http.shutdown()
            thread.join()


@pytest.fixture
async def host(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Host]:
    """A started host whose settings name the server; it may not leave this machine."""
    # A proxy that is not there: what is meant for this machine must not take it.
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    made = make_host(tmp_path, RecordingUI(), offline=True)
    made.add("embeddings", chatapp_embeddings)
    for key, value in (("url", server.url), ("remote_model", "toy"), ("batch", 2)):
        made.set_config("embeddings", key, value)
    await made.startup()
    try:
        yield made
    finally:
        await made.shutdown()


async def opened(host: Host, model: str = "") -> RemoteEmbedder:
    """The open embedder."""
    async with aclosing(host.engines.ready(Session(host), "embedding", model=model)) as news:
        async for _ in news:
            pass
    embedder = host.engines.current("embedding")
    assert isinstance(embedder, RemoteEmbedder)
    return embedder


@pytest.mark.parametrize(("turns", "indexed"), [(False, True), (True, True), (False, False)])
async def test_vectors_have_unit_length_and_the_order_of_the_texts(
    host: Host, server: Server, turns: bool, indexed: bool
) -> None:
    server.turns, server.indexed = turns, indexed
    embedder = await opened(host)
    assert isinstance(embedder, Embedder)
    done: list[Progress] = []
    rows = await embedder.embed(["one", "two", "three"], query=True, background=True, report=done.append)
    assert [[pytest.approx(value) for value in row] for row in rows] == [
        [0.6, 0.8], [0.0, 1.0], [math.sqrt(0.5), math.sqrt(0.5)],
    ]  # fmt: skip
    assert [request["input"] for request in server.asked[1:]] == [["one", "two"], ["three"]]
    assert [(each.done, each.total) for each in done] == [(2, 3), (3, 3)]
    assert (server.asked[0]["model"], server.asked[0]["encoding_format"]) == ("toy", "float")
    assert list(await embedder.embed([])) == []
    await embedder.embed([""])
    assert server.asked[-1]["input"] == [" "]


async def test_what_it_says_of_itself(host: Host, server: Server) -> None:
    host.set_config("embeddings", "remote_tokens", 300)
    embedder = await opened(host)
    assert (embedder.info.engine, embedder.info.model, embedder.info.context_length) == (
        "openai-embeddings",
        "toy",
        300,
    )
    details = embedder.info.details
    assert (details["name"], details["model"]) == ("remote", f"toy@{server.url}")
    assert (details["dimensions"], details["tokenizer"], details["languages"]) == (2, "", [])
    assert await opened(host, "remote") is embedder
    # A local model by its name is another engine, which is not the server.
    with pytest.raises(OfflineError, match="all-MiniLM-L6-v2 is not downloaded"):
        await opened(host, "all-MiniLM-L6-v2")


async def test_the_key_is_of_the_environment(host: Host, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "not this one")
    await opened(host)
    assert server.keys == ["Bearer none"]
    host.set_config("embeddings", "key_variable", "TOY_KEY")
    with pytest.raises(EngineError, match=r"^The environment variable TOY_KEY, named in .* is not set: put"):
        await opened(host)
    monkeypatch.setenv("TOY_KEY", "secret")
    await opened(host)
    assert server.keys[-1] == "Bearer secret"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "it does not accept the request"),
        (401, r"it does not accept the key; look at the setting embeddings\.key_variable"),
        (404, "it has no such address or model"),
        (418, "it answered with status 418"),
        (429, "it takes no more requests now"),
        (500, "it answered with status 500"),
    ],
)
async def test_a_refusal_is_one_sentence(
    host: Host, server: Server, status: int, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "RETRIES", 1)
    server.status = status
    with pytest.raises(EngineError, match=rf"^The embedding server {server.url} gave no vectors of toy: {reason}"):
        await opened(host)
    # Tried again once, and only where that may help.
    assert len(server.asked) == (2 if status in (429, 500) else 1)
    assert host.engines.current("embedding") is None


async def test_what_passes_is_tried_again(host: Host, server: Server) -> None:
    server.failures = 1
    assert len(await (await opened(host)).embed(["one"])) == 1
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("nothing", "is not what /v1/embeddings answers"),
        ("[1, 2]", "is not what /v1/embeddings answers"),
        ('"text"', "is not what /v1/embeddings answers"),
        ("{}", "is not what /v1/embeddings answers"),
        ('{"data": 5}', "is not what /v1/embeddings answers"),
        ('{"data": []}', "it sent 0 vectors for 1 texts"),
        ('{"data": [{"index": 0}]}', "is not what /v1/embeddings answers"),
        ('{"data": [{"index": 0, "embedding": ["a"]}]}', "is not what /v1/embeddings answers"),
        ('{"data": [{"index": 0, "embedding": []}]}', "is not what /v1/embeddings answers"),
        ('{"data": [{"index": 0, "embedding": [NaN, 1]}]}', "it sent a vector that is zero or not a number"),
        ('{"data": [{"index": 0, "embedding": [1e999]}]}', "it sent a vector that is zero or not a number"),
        ('{"data": [{"index": 0, "embedding": [0, 0]}]}', "it sent a vector that is zero or not a number"),
        ('{"data": [{"index": 0, "embedding": [1, 2, 3]}]}', "it sent a vector of 3 dimensions where it sent 2 before"),
        ('{"data": [{"embedding": [1, 2]}, {"embedding": [1, 2]}]}', "it sent 2 vectors for 1 texts"),
    ],
)
async def test_a_bad_answer_is_one_sentence(host: Host, server: Server, body: str, reason: str) -> None:
    embedder = await opened(host)
    server.body = body
    with pytest.raises(EngineError, match=rf"^The embedding server [^\n]*{reason}\.$"):
        await embedder.embed(["one"])
    # The next answer may be a good one.
    server.body = None
    assert len(await embedder.embed(["one"])) == 1


async def test_silence_and_refusal(host: Host, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "RETRIES", 0)
    monkeypatch.setattr(remote, "TIMEOUT", 0.3)
    server.silent = True
    with pytest.raises(EngineError, match=r"it did not answer within 0\.3 s\.$"):
        await opened(host)
    host.set_config("embeddings", "url", "http://127.0.0.1:9/v1")
    with pytest.raises(EngineError, match=r"gave no vectors of toy: it cannot be reached \([^\n]+\)\.$"):
        await opened(host)


@pytest.mark.parametrize("url", ["https://api.example.com/v1", "http://10.0.0.1/v1", "http://localhost.example.com/v1"])
async def test_offline_it_stays_on_this_machine(host: Host, url: str) -> None:
    host.set_config("embeddings", "url", url)
    with pytest.raises(OfflineError, match=r"is not on this machine, and --offline forbids the network"):
        await opened(host)


async def test_settings_that_are_not_complete(host: Host) -> None:
    host.set_config("embeddings", "remote_model", "")
    with pytest.raises(EngineError, match=r"The setting embeddings\.remote_model is empty"):
        await opened(host)
    host.set_config("embeddings", "url", "localhost:8080")
    with pytest.raises(EngineError, match=r"which is no address of a server; give one such as"):
        await opened(host)
    host.set_config("embeddings", "url", "")
    with pytest.raises(EngineError, match="is no address of a server"):
        await opened(host, "remote")


async def test_without_the_client_it_says_what_to_install(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "LIBRARY", "a_library_that_is_not_there")
    with pytest.raises(EngineError, match=r"pip install 'chatapp\[openai\]'"):
        await opened(host)
