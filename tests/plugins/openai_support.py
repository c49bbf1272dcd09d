"""A server with OpenAI's interface on this machine that does what a test tells it to, well or badly."""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import chatapp_openai
from chatapp import Event, Host, Session, TextDelta, commands
from chatapp.testing import RecordingUI, ScriptedEngine, make_host
from tests.support_plugins import started

MODEL = "toy-7b"


@dataclass(frozen=True)
class Reply:
    """One answer. `events` are streamed as they are; `cut` closes the connection without an end.

    `silent` says nothing more after that, until the client has gone.
    """

    status: int = 200
    body: str = ""
    events: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False
    silent: bool = False


def chunk(finish: str | None = None, usage: Mapping[str, Any] | None = None, **delta: Any) -> str:
    """A piece of an answer as vLLM streams it; `logprobs` goes beside the delta."""
    choice = {"index": 0, "logprobs": delta.pop("logprobs", None), "delta": delta, "finish_reason": finish}
    value: dict[str, Any] = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    value |= {"choices": [choice]} if usage is None else {"choices": [], "usage": dict(usage)}
    return f"data: {json.dumps(value)}\n\n"


def says(text: str, *, finish: str = "stop", usage: Mapping[str, Any] | None = None) -> Reply:
    """A whole answer, word by word."""
    pieces = [chunk(content=word if place == 0 else f" {word}") for place, word in enumerate(text.split(" "))]
    last = [chunk(usage=usage)] if usage is not None else []
    return Reply(events=(chunk(role="assistant"), *pieces, chunk(finish), *last, "data: [DONE]\n\n"))


def refuses(status: int, message: str, **headers: str) -> Reply:
    """An error as OpenAI's own service words it."""
    return Reply(status, json.dumps({"error": {"message": message, "param": None}}), headers=headers)


@dataclass
class Rough:
    """The server: `replies` are given in turn to the paths they are for, then `usual` ones.

    `asked` are the paths and bodies it got, `keys` the authorisations, `headers` those of the last request. `came` is
    set when a question has come, `gone` when a client went away in the middle of a silent answer.
    """

    url: str = ""
    models: list[dict[str, Any]] = field(default_factory=lambda: [{"id": MODEL, "owned_by": "vllm"}])
    replies: dict[str, list[Reply]] = field(default_factory=dict)
    usual: dict[str, Reply] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    came: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def chat(self, *replies: Reply) -> None:
        """Answer the next questions so."""
        self.replies.setdefault("/v1/chat/completions", []).extend(replies)

    @property
    def chats(self) -> list[dict[str, Any]]:
        """The bodies of the questions."""
        return [body for path, body in self.asked if path.endswith("/chat/completions")]

    def reply(self, path: str, body: dict[str, Any]) -> Reply:
        """What to answer."""
        self.asked.append((path, body))
        if path.endswith("/chat/completions"):
            self.came.set()
        waiting = self.replies.get(path)
        if waiting:
            return waiting.pop(0)
        if path in self.usual:
            return self.usual[path]
        if path == "/v1/models":
            return Reply(body=json.dumps({"object": "list", "data": self.models}))
        if path == "/tokenize":
            return Reply(body=json.dumps({"count": len(str(body["prompt"]).split())}))
        if path == "/v1/chat/completions":
            return says("Hello there.")
        return Reply(404, '{"detail": "Not Found"}')


class Handler(BaseHTTPRequestHandler):
    """Answers as its server's state says."""

    state: Rough
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer({})

    def do_POST(self) -> None:
        self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def answer(self, body: dict[str, Any]) -> None:
        self.state.keys.append(self.headers["Authorization"])
        self.state.headers = dict(self.headers)
        reply = self.state.reply(self.path, body)
        streams = bool(reply.events) or reply.silent or reply.cut
        self.send_response(reply.status)
        kind = "text/event-stream" if streams else "application/json"
        length = {"Transfer-Encoding": "chunked"} if streams else {"Content-Length": str(len(reply.body.encode()))}
        for name, value in {"Content-Type": kind, **length, **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if not streams:
            self.wfile.write(reply.body.encode())
            return
        for event in reply.events:
            self.wfile.write(f"{len(event.encode()):x}\r\n{event}\r\n".encode())
        if reply.silent:
            self.wait()
        if reply.cut or reply.silent:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def wait(self) -> None:
        """Say nothing until the client goes away or the test is over."""
        while not self.state.ended.is_set():
            ready, _, _ = select.select([self.connection], [], [], 0.02)
            if ready and not self.connection.recv(1, socket.MSG_PEEK):
                self.state.gone.set()
                return

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def rough(given: Rough | None = None) -> Iterator[Rough]:
    """A server on a free port of this machine."""
    state = given if given is not None else Rough()
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"state": state})) as http:
        state.url = f"http://127.0.0.1:{http.server_port}/v1"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield state
        finally:
            state.ended.set()
            http.shutdown()
            thread.join()


def host_for(
    folder: Path, url: str, *, model: str = f"gpu/{MODEL}", scripted: ScriptedEngine | None = None, **server: Any
) -> Host:
    """A host whose settings name the server "gpu"; it may not leave this machine."""
    table = {"servers": {"gpu": {"url": url, "retries": 0, **server}}}
    host = make_host(folder, RecordingUI(), scripted, model=model, engine="", offline=True, openai=table)
    host.add("chatapp", commands)
    host.add("openai", chatapp_openai)
    return host


@asynccontextmanager
async def talking(folder: Path, url: str, **server: Any) -> AsyncIterator[Session]:
    """A session that answers with the server's model."""
    async with started(host_for(folder, url, **server)) as session:
        yield session


async def ask(session: Session, text: str = "Hi") -> list[Event]:
    """All events of one turn."""
    return [event async for event in session.send(text)]


def text_of(events: list[Event]) -> str:
    """The answer's text."""
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def only(events: list[Event], kind: type[Any]) -> list[Any]:
    """The events of one kind."""
    return [event for event in events if isinstance(event, kind)]
