"""`chatapp serve` with the scripted engine: who is let in, what a model's name may do, and hostile clients."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Annotated, Any

import pytest
import pytest_asyncio

from chatapp import Action, Block, Session, Turn, action, hookimpl
from chatapp.testing import ScriptedEngine
from chatapp_serve.listening import Connection
from tests.plugins.serve_support import Serving, address, ask, fresh, scripted, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


def _names(session: Session, prefix: str) -> Iterable[str]:
    return ("papers", "off", "rm", "with a space", "../path", "-option")


class Shelf:
    """A plugin with something to switch on by name, and a command below it that must not be reached."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    @hookimpl
    def actions(self) -> Iterable[Action]:
        """`/rag NAME`, `/rag on` and `/rag rm NAME`."""
        ran = self.ran

        @action("rag")
        async def rag(session: Session, name: Annotated[str, "What", _names] = "", *, force: bool = False) -> str:
            """Answer from something."""
            ran.append(f"rag {name} {force}")
            session.values["shelf"] = name
            return "Done."

        @action("rag on")
        async def on(session: Session) -> str:
            """Answer from the usual."""
            ran.append("rag on")
            return "Done."

        @action("rag rm")
        async def rm(session: Session, name: str) -> str:
            """Remove something."""
            ran.append(f"rag rm {name}")
            return "Done."

        @action("role")
        async def role(session: Session, name: str = "") -> str:
            """Choose a role."""
            ran.append(f"role {name}")
            return "Done."

        return [rag, on, rm, role]

    @hookimpl
    def context(self, turn: Turn) -> Iterable[Block]:
        """What was switched on."""
        yield Block(turn.values.get("shelf", "nothing"), title="Shelf", stability="session")


SHELF = Shelf()


@pytest.fixture
def shelf() -> Shelf:
    """The plugin, of which nothing was run yet."""
    SHELF.ran.clear()
    return SHELF


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def _served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Serving]:
    async with scripted(tmp_path_factory.mktemp("served"), ScriptedEngine(), {"shelf": SHELF}) as made:
        yield made


@pytest.fixture
def engine(_served: Serving) -> ScriptedEngine:
    """The engine behind the server, as if it had just been opened."""
    return fresh(_served)


@pytest.fixture
def served(_served: Serving, engine: ScriptedEngine) -> Serving:
    """A served host."""
    return _served


@pytest.mark.parametrize(
    ("name", "ran"),
    [
        ("scripted", []),
        ("", []),
        ("chatapp", []),
        ("scripted+writer", ["role writer"]),
        ("+rag:papers", ["rag papers False"]),
        ("chatapp+rag+editor", ["rag on", "role editor"]),
    ],
)
async def test_a_name_switches_plugins_on(
    served: Serving, engine: ScriptedEngine, shelf: Shelf, name: str, ran: list[str]
) -> None:
    made = await served.client.chat.completions.create(model=name, messages=[{"role": "user", "content": "Hi"}])
    assert (made.choices[0].message.content, shelf.ran) == ("OK.", ran)
    assert ("papers" in engine.requests[0].messages[0].text) == ("papers" in name)


@pytest.mark.parametrize(
    "name",
    [
        "+rag:rm,papers",
        "+rag:rm papers",
        "+rag:papers,--force",
        "+rag:--force",
        "+rag:../papers",
        "+rag:/etc/passwd",
        "+rag:a\nb",
        "+rag:on",
        "+role",
        "+role:",
        "++",
        "+",
        "+rag:",
        "+quit:now",
        "nobody",
        "/etc/passwd",
        "scripted+lora:x",
        "scripted\x00",
    ],
)
async def test_a_name_does_nothing_else(served: Serving, engine: ScriptedEngine, shelf: Shelf, name: str) -> None:
    found = await served.bare.post("/chat/completions", json=ask("Hi", model=name))
    if name == "+rag:":
        # A switch that needs no name.
        assert (found.status_code, shelf.ran) == (200, ["rag on"])
        return
    assert (found.status_code, found.json()["error"]["code"]) == (404, "model_not_found")
    assert (shelf.ran, engine.requests) == ([], [])


async def test_the_list_of_models(served: Serving) -> None:
    names = [each.id async for each in served.client.models.list()]
    assert names == ["chatapp", "scripted", "chatapp+rag", "chatapp+rag:papers"]
    assert (await served.client.models.retrieve("scripted+rag:other")).id == "scripted+rag:other"
    found = await served.bare.get("/models/../../etc/passwd")
    assert found.status_code == 404


async def test_what_the_user_has_is_not_for_others(tmp_path: Path) -> None:
    values: dict[str, Any] = {}

    class Looking:
        @hookimpl
        def turn_finished(self, turn: Turn) -> None:
            values.update(turn.values)

    async with scripted(tmp_path, plugins={"looking": Looking()}) as served:
        await served.bare.post("/chat/completions", json=ask("Hi"))
    assert (values["memory.off"], values["tools"]) == (True, {"on": False})


async def test_who_has_no_token(served: Serving) -> None:
    async with serving(served.host, "a-token-of-some-length") as guarded:
        assert (await guarded.bare.get("/models")).status_code == 401
        for wrong in (b"Bearer \xe9", b"Bearer a-token-of-some-lengtx", b"Basic a-token-of-some-length", b""):
            found = await guarded.bare.get("/models", headers={b"Authorization": wrong})
            assert (found.status_code, found.json()["error"]["code"]) == (401, "invalid_api_key")
        assert "scripted" in [each.id async for each in guarded.client.models.list()]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:80@127.0.0.1:1"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "[::1"},
        {"Host": '"evil'},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "evil.example", "X-Forwarded-Host": "127.0.0.1", "X-Forwarded-For": "127.0.0.1"},
    ],
)
async def test_other_sites_pages(served: Serving, headers: dict[str, str]) -> None:
    found = await served.bare.get("/models", headers=headers)
    assert found.status_code in (400, 403)
    assert "scripted" not in found.text
    assert "access-control-allow-origin" not in found.headers


async def test_no_page_is_let_in_beforehand(served: Serving) -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    found = await served.bare.options("/chat/completions", headers=headers)
    assert (found.status_code, [name for name in found.headers if "access-control" in name]) == (405, [])
    assert found.json()["error"]["message"] == "There is no OPTIONS /v1/chat/completions here."


async def _sent(served: Serving, *pieces: bytes) -> bytes:
    """What is answered to these bytes, one piece after another, until the server closes the connection."""
    reader, writer = await asyncio.open_connection(*address(served))
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.02)
        return await reader.read()
    finally:
        writer.close()


HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("pieces", "answer"),
    [
        ([], b"408"),
        ([HEAD[:20], b" ", b"x"], b"408"),
        ([HEAD + b"Content-Length: 1000\r\n\r\n", b"{", b" "], b"408"),
        ([HEAD.replace(b"json", b"text") + b"Content-Length: 1000\r\n\r\n", b"{", b" "], b"415"),
        ([HEAD + b"Content-Length: 99999999999\r\n\r\n", *[b" " * 100_000] * 12], b"413"),
        ([HEAD + b"X: " + b"x" * 60_000, b"x" * 10_000], b"400"),
        ([b"\x16\x03\x01nonsense\r\n\r\n"], b"400"),
        ([HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n"], b"400"),
    ],
)
async def test_who_sends_slowly_or_too_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces: list[bytes], answer: bytes
) -> None:
    monkeypatch.setattr(Connection, "patience", 0.5)
    async with scripted(tmp_path, largest=1) as served:
        found = await _sent(served, *pieces)
        assert found.startswith(b"HTTP/1.1 " + answer)
        assert (await served.bare.get("/models")).status_code == 200
