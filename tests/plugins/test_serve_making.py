"""`chatapp serve`: vectors and pictures, through OpenAI's own client."""

from __future__ import annotations

import base64
import math
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import openai
import pytest

from chatapp import (
    EngineConfig,
    EngineError,
    EngineInfo,
    EngineSpec,
    Picture,
    PictureRequest,
    PictureStep,
    Vectors,
    hookimpl,
)
from tests.plugins.serve_support import Serving, scripted


class Making:
    """Stands for both engines: a vector says how long its text is, a picture's bytes what was asked for."""

    info = EngineInfo("making", "toy", 64)

    async def embed(self, texts: list[str], **_: Any) -> Vectors:
        """Two numbers a text."""
        if "bad" in texts:
            raise EngineError("This text has no vector.")
        return Vectors.of([[math.cos(len(text)), math.sin(len(text))] for text in texts])

    async def paint(self, request: PictureRequest) -> AsyncGenerator[PictureStep | Picture, None]:
        """A step and a picture."""
        yield PictureStep(1, 1)
        words = f"{request.prompt} {request.seed} {request.width}x{request.height}"
        yield Picture(words.encode(), 8, 8)

    async def tune(self, config: EngineConfig) -> bool:
        """There is nothing to tune."""
        return True

    async def close(self) -> None:
        """There is nothing to close."""

    @hookimpl
    def engines(self) -> Iterable[EngineSpec]:
        """One of each kind."""

        async def opened(*_: Any) -> Any:
            return self

        yield EngineSpec("vectors", opened, kind="embedding")
        yield EngineSpec("pictures", opened, kind="image")


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Serving]:
    """A served host with both engines."""
    async with scripted(tmp_path, plugins={"making": Making()}) as made:
        yield made


async def test_vectors(served: Serving) -> None:
    texts = ["a", "bb", "ccc"]
    for form in ("float", "base64"):
        made = await served.client.embeddings.create(model="toy", input=texts, encoding_format=form)
        rows: list[Any] = [each.embedding for each in made.data]
        if form == "base64":
            rows = [Vectors(2, base64.b64decode(row))[0] for row in rows]
        assert [row[0] for row in rows] == pytest.approx([math.cos(len(text)) for text in texts])
        assert (made.model, [each.index for each in made.data]) == ("toy", [0, 1, 2])
    # As the client asks by itself.
    assert len((await served.client.embeddings.create(model="", input="word")).data[0].embedding) == 2


@pytest.mark.parametrize(
    ("more", "kind", "text"),
    [
        ({"input": "bad"}, openai.UnprocessableEntityError, "This text has no vector."),
        ({"input": []}, openai.BadRequestError, "input"),
        ({"input": ""}, openai.BadRequestError, "input"),
        ({"input": [[1, 2]]}, openai.BadRequestError, "input"),
        ({"input": "x", "dimensions": 3}, openai.BadRequestError, "makes vectors of 2 dimensions"),
    ],
)
async def test_no_vectors(served: Serving, more: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        await served.client.embeddings.create(**{"model": "", **more})


async def test_pictures(served: Serving) -> None:
    made = await served.client.images.generate(prompt="a boat", n=2, size="512x512", extra_body={"seed": 4})
    assert made.data is not None
    painted = [base64.b64decode(each.b64_json or "").decode() for each in made.data]
    assert painted == ["a boat 4 512x512", "a boat 5 512x512"]
    (own,) = (await served.client.images.generate(prompt="a boat", extra_body={"seed": 4})).data or []
    assert base64.b64decode(own.b64_json or "") == b"a boat 4 NonexNone"


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"n": 99}, "8 pictures are the most"),
        ({"response_format": "url"}, "b64_json"),
        ({"size": "big"}, "size"),
        ({"prompt": ""}, "prompt"),
    ],
)
async def test_no_pictures(served: Serving, more: Any, text: str) -> None:
    with pytest.raises(openai.BadRequestError, match=text):
        await served.client.images.generate(**{"prompt": "a boat", **more})


async def test_without_an_engine_of_the_kind(tmp_path: Path) -> None:
    async with scripted(tmp_path) as served:
        with pytest.raises(openai.UnprocessableEntityError, match="No plugin offers an engine to compare texts"):
            await served.client.embeddings.create(model="", input="x")
