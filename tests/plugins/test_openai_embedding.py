"""Vectors and pictures from a server: asked for, checked, and refused in one sentence."""

from __future__ import annotations

import base64
import json
import math
import struct
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from chatapp import Embedder, EngineError, Host, OfflineError, Painter, Picture, PictureRequest, Progress, Session
from chatapp_openai.embedding import RemoteEmbedder
from chatapp_openai.painting import RemotePainter, with_facts
from tests.plugins.openai_support import Reply, Rough, host_for, refuses, rough
from tests.support_plugins import started

pytest.importorskip("openai")
chatapp_embeddings = pytest.importorskip("chatapp_embeddings")
VECTORS = {"one": [3.0, 4.0], "two": [0.0, 2.0], "three": [1.0, 1.0]}
NOT_ONE = "sent what /v1/embeddings does not answer"


class Embeds(Rough):
    """A server that embeds too; `turns` reverses the order of its rows and `indexed` numbers them."""

    turns = False
    indexed = True

    def reply(self, path: str, body: dict[str, Any]) -> Reply:
        """Vectors where nothing else is to be answered."""
        found = super().reply(path, body)
        if path != "/v1/embeddings" or found.status != 404:
            return found
        rows = [
            {"embedding": VECTORS.get(text, [1.0, 0.0])} | ({"index": place} if self.indexed else {})
            for place, text in enumerate(body["input"])
        ]
        return Reply(body=json.dumps({"object": "list", "data": rows[::-1] if self.turns else rows}))


@pytest.fixture
def server() -> Iterator[Embeds]:
    """A server that embeds."""
    with rough(Embeds()) as made:
        assert isinstance(made, Embeds)
        yield made


@pytest.fixture
async def host(tmp_path: Path, server: Embeds) -> AsyncIterator[Host]:
    """A started host that embeds and paints with the server; local models are there too."""
    made = host_for(tmp_path, server.url, batch=2, text_tokens=300)
    made.add("embeddings", chatapp_embeddings)
    made.set_config("openai", "embedding", "gpu/toy-embedder")
    made.set_config("openai", "image", "gpu/toy-painter")
    async with started(made):
        yield made


async def opened(host: Host, kind: Any = "embedding", model: str = "") -> Any:
    """The open engine."""
    async with aclosing(host.engines.ready(Session(host), kind, model=model)) as news:
        async for _ in news:
            pass
    return host.engines.current(kind)


@pytest.mark.parametrize(("turns", "indexed"), [(False, True), (True, True), (False, False)])
async def test_vectors_have_unit_length_and_the_order_of_the_texts(
    host: Host, server: Embeds, turns: bool, indexed: bool
) -> None:
    server.turns, server.indexed = turns, indexed
    embedder = await opened(host)
    assert isinstance(embedder, Embedder)
    done: list[Progress] = []
    rows = await embedder.embed(["one", "two", "three"], query=True, background=True, report=done.append)
    assert [[pytest.approx(value) for value in row] for row in rows] == [
        [0.6, 0.8], [0.0, 1.0], [math.sqrt(0.5), math.sqrt(0.5)],
    ]  # fmt: skip
    asked = [body for _, body in server.asked]
    assert [body["input"] for body in asked[1:]] == [["one", "two"], ["three"]]
    assert [(each.done, each.total) for each in done] == [(2, 3), (3, 3)]
    assert (asked[0]["model"], asked[0]["encoding_format"]) == ("toy-embedder", "float")
    assert list(await embedder.embed([])) == []
    await embedder.embed([""])
    assert server.asked[-1][1]["input"] == [" "]


async def test_what_the_embedder_says_of_itself(host: Host, server: Embeds) -> None:
    embedder = await opened(host)
    assert isinstance(embedder, RemoteEmbedder)
    assert (embedder.info.engine, embedder.info.context_length) == ("openai-embedding", 300)
    details = embedder.info.details
    assert (details["name"], details["model"]) == ("gpu/toy-embedder", f"toy-embedder@{server.url}")
    assert (details["dimensions"], details["tokenizer"], details["languages"]) == (2, "", [])
    assert await opened(host, model="gpu/toy-embedder") is embedder
    # A local model by its name is another engine, which is not the server.
    with pytest.raises(OfflineError, match="all-MiniLM-L6-v2 is not downloaded"):
        await opened(host, model="all-MiniLM-L6-v2")
    host.set_config("openai", "embedding", None)
    with pytest.raises(OfflineError, match="all-MiniLM-L6-v2 is not downloaded"):
        await opened(host)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("nothing", "no answer of OpenAI's interface"),
        ("[1, 2]", NOT_ONE),
        ('"text"', NOT_ONE),
        ("{}", "sent|no answer"),
        ('{"data": 5}', "sent|no answer"),
        ('{"data": []}', "sent 0 vectors for 1 texts|no answer"),
        ('{"data": [{"index": 0}]}', NOT_ONE),
        ('{"data": [{"index": 0, "embedding": ["a"]}]}', NOT_ONE),
        ('{"data": [{"index": 0, "embedding": []}]}', NOT_ONE),
        ('{"data": [{"index": 0, "embedding": [[1, 2], [3, 4]]}]}', "sent a vector for each token"),
        ('{"data": [{"index": 0, "embedding": [NaN, 1]}]}', "sent a vector that is zero or not a number"),
        ('{"data": [{"index": 0, "embedding": [1e999]}]}', "sent a vector that is zero or not a number"),
        ('{"data": [{"index": 0, "embedding": [0, 0]}]}', "sent a vector that is zero or not a number"),
        ('{"data": [{"index": 0, "embedding": [1, 2, 3]}]}', "a vector of 3 dimensions where it sent 2 before"),
        ('{"data": [{"embedding": [1, 2]}, {"embedding": [1, 2]}]}', "sent 2 vectors for 1 texts"),
    ],
)
async def test_bad_vectors_are_one_sentence(host: Host, server: Embeds, body: str, reason: str) -> None:
    embedder = await opened(host)
    server.usual["/v1/embeddings"] = Reply(body=body)
    with pytest.raises(EngineError, match=rf"^The server gpu [^\n]*({reason})[^\n]*\.$"):
        await embedder.embed(["one"])
    # The next answer may be a good one.
    del server.usual["/v1/embeddings"]
    assert len(await embedder.embed(["one"])) == 1


async def test_refused_vectors(host: Host, server: Embeds) -> None:
    server.usual["/v1/embeddings"] = refuses(400, "Too long.")
    with pytest.raises(EngineError, match=r"refused the request with status 400 \(Too long\)\.$"):
        await opened(host)
    assert host.engines.current("embedding") is None


def png(width: int, height: int) -> bytes:
    """A black picture."""

    def part(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" * (width + 1) for _ in range(height)))
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", pixels) + part(b"IEND", b"")


def painting(picture: bytes) -> Reply:
    """An answer with a picture."""
    return Reply(body=json.dumps({"created": 1, "data": [{"b64_json": base64.b64encode(picture).decode()}]}))


async def painted(host: Host, request: PictureRequest) -> Picture:
    """The picture that comes of a request."""
    painter = await opened(host, "image")
    assert isinstance(painter, Painter)
    assert isinstance(painter, RemotePainter)
    async with aclosing(painter.paint(request)) as steps:
        *_, picture = [step async for step in steps]
    assert isinstance(picture, Picture)
    return picture


async def test_a_picture_is_painted(host: Host, server: Embeds) -> None:
    path = "/v1/images/generations"
    server.replies[path] = [refuses(400, "Unknown parameter: 'response_format'."), painting(png(8, 4))]
    picture = await painted(host, PictureRequest("An apple", 7, negative="pears", width=8, height=4))
    assert (picture.width, picture.height) == (8, 4)
    assert picture.facts["prompt"] == "An apple"
    assert picture.notes == ("A negative prompt cannot be asked of a server: left out.",)
    assert picture.png == with_facts(png(8, 4), picture.facts)
    bodies = [body for asked, body in server.asked if asked == path]
    assert [body.get("response_format") for body in bodies] == ["b64_json", None]
    assert bodies[0] == {"model": "toy-painter", "prompt": "An apple", "n": 1, "size": "8x4"} | {
        "response_format": "b64_json"
    }


def test_the_facts_in_a_picture_can_be_read_again(tmp_path: Path) -> None:
    read_facts = pytest.importorskip("chatapp_images.png").read_facts
    path = tmp_path / "a.png"
    path.write_bytes(with_facts(png(2, 2), {"prompt": "Açaí", "seed": 1}))
    assert read_facts(path) == {"prompt": "Açaí", "seed": 1}


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (painting(b"\xff\xd8\xff\xe0 no PNG"), "sent no picture that could be used"),
        (painting(b"\x89PNG\r\n\x1a\n"), "sent no picture that could be used"),
        (Reply(body='{"data": [{"url": "http://example.com/a.png"}]}'), "sent no picture that could be used"),
        (Reply(body='{"data": [{"b64_json": "***"}]}'), "sent no picture that could be used"),
        (Reply(body="{}"), "sent no picture that could be used|no answer"),
        (refuses(400, "Your prompt is not allowed."), r"refused the request with status 400 \(Your prompt"),
    ],
)
async def test_no_picture_is_one_sentence(host: Host, server: Embeds, reply: Reply, said: str) -> None:
    server.usual["/v1/images/generations"] = reply
    with pytest.raises(EngineError, match=rf"^The server gpu [^\n]*({said})[^\n]*\.$"):
        await painted(host, PictureRequest("An apple", 7))
    with pytest.raises(EngineError, match="changes no pictures"):
        await painted(host, PictureRequest("An apple", 7, image=png(1, 1)))
