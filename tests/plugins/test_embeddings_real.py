"""The real embedder: vectors that mean something, in a child that can be stopped, killed and asked again."""

from __future__ import annotations

import asyncio
import math
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path

import pytest
import pytest_asyncio

import chatapp_embeddings
from chatapp import Embedder, EngineError, Host, Progress, Session
from chatapp.paths import paths
from chatapp.testing import make_host
from chatapp_embeddings.catalogue import MINILM
from chatapp_embeddings.engine import SentenceEmbedder
from chatapp_embeddings.files import damaged
from tests.support_models import soon

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="session")
def embedding_folder() -> Path:
    """The folder of the default model in this user's data folder."""
    if find_spec("sentence_transformers") is None:
        pytest.skip("sentence-transformers is not installed: pip install 'chatapp[embeddings]'")
    folder = paths().data / "embeddings" / MINILM.name
    if damaged(folder, MINILM.files):
        pytest.skip(f"{MINILM.name} is not downloaded: chatapp embeddings pull")
    return folder


def host_with(folder: Path, model: Path) -> Host:
    """A host whose embedder is the model in that folder."""
    (folder / "config").mkdir(exist_ok=True)
    (folder / "config" / "settings.toml").write_text(f'[embeddings]\nfolder = "{model}"\nbatch = 4\n')
    host = make_host(folder, offline=True)
    host.add("embeddings", chatapp_embeddings)
    return host


async def opened(host: Host) -> SentenceEmbedder:
    """The embedder of a started host."""
    async with aclosing(host.engines.ready(Session(host), "embedding")) as news:
        labels = [progress.label async for progress in news]
    assert labels == [f"Opening {MINILM.name}"]
    embedder = host.engines.current("embedding")
    assert isinstance(embedder, SentenceEmbedder)
    return embedder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedder(tmp_path_factory: pytest.TempPathFactory, embedding_folder: Path) -> AsyncIterator[SentenceEmbedder]:
    """An open embedder."""
    host = host_with(tmp_path_factory.mktemp("home"), embedding_folder)
    await host.startup()
    try:
        yield await opened(host)
    finally:
        await host.shutdown()


def cosine(left: list[float], right: list[float]) -> float:
    """The dot product, of vectors of unit length."""
    return sum(a * b for a, b in zip(left, right, strict=True))


async def test_likeness_is_of_meaning(embedder: SentenceEmbedder) -> None:
    assert isinstance(embedder, Embedder)
    assert (embedder.info.context_length, embedder.info.details["dimensions"]) == (256, 384)
    long = "The weather in the mountains was cold and wet for most of the week. " * 50
    texts = ["Where is my parcel?", long, "The package has not arrived.", "", "I forgot my password.", "a\0b \ud83d"]
    done: list[Progress] = []
    rows = await embedder.embed([text.encode("utf-8", "replace").decode() for text in texts], report=done.append)
    assert [len(row) for row in rows] == [384] * 6
    assert all(math.isclose(cosine(row, row), 1, abs_tol=1e-5) for row in rows)
    assert cosine(rows[0], rows[2]) > cosine(rows[0], rows[4]) + 0.2
    assert [(each.done, each.total) for each in done] == [(4, 6), (6, 6)]
    # Alone or in a batch with longer ones, in whatever order: the same vector.
    assert cosine((await embedder.embed([texts[2]]))[0], rows[2]) > 0.9999
    assert list(await embedder.embed([])) == []
    # Of a long text only the beginning counts.
    assert cosine((await embedder.embed([long + "Where is my parcel?"]))[0], rows[1]) > 0.9999


async def test_it_stops_and_starts_again(embedder: SentenceEmbedder) -> None:
    done: list[Progress] = []
    task = asyncio.ensure_future(embedder.embed(["a text of several words " * 40] * 4000, report=done.append))
    await soon(lambda: done)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done[-1].done < 4000
    first = embedder.pid
    assert len(await embedder.embed(["hello"])) == 1
    assert embedder.pid == first
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await soon(lambda: embedder.pid is None)
    assert len(await embedder.embed(["hello"])) == 1
    assert embedder.pid not in (None, first)


async def test_a_broken_folder_is_one_sentence(tmp_path: Path, embedding_folder: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for name in MINILM.files:
        (broken / name).parent.mkdir(exist_ok=True)
        (broken / name).write_bytes((embedding_folder / name).read_bytes()[: 100 if "model.s" in name else None])
    host = host_with(tmp_path, broken)
    await host.startup()
    try:
        with pytest.raises(EngineError, match=rf"^The model in {broken} cannot be loaded: [^\n]+\.$"):
            await opened(host)
    finally:
        await host.shutdown()
