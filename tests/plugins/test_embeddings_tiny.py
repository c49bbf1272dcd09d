"""The embedder over a tiny model: prompts, precisions, names, and settings that change."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio

from chatapp import EngineError, Host, Progress, Session
from chatapp_embeddings import fetching
from chatapp_embeddings.catalogue import E5, MINILM, Entry
from chatapp_embeddings.engine import SentenceEmbedder
from chatapp_embeddings.files import SHORT, Pinned, sha256
from tests.plugins.embeddings_support import embedding_host
from tests.support_models import soon

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    """A started host; what one test has opened stays open for the next one that wants the same."""
    async with embedding_host(tmp_path_factory.mktemp("home"), offline=True) as made:
        yield made


@pytest.fixture
def host(started: Host, text_models: Path) -> Host:
    """The host with the first model chosen, computed in float32."""
    for name, value in (("model", MINILM.name), ("folder", str(text_models / "one")), ("precision", "float32")):
        started.set_config("embeddings", name, value)
    return started


async def opened(host: Host, model: str = "") -> tuple[SentenceEmbedder, list[str]]:
    """The embedder, and what was told while it was opened."""
    async with aclosing(host.engines.ready(Session(host), "embedding", model=model)) as news:
        labels = [progress.label async for progress in news]
    embedder = host.engines.current("embedding")
    assert isinstance(embedder, SentenceEmbedder)
    return embedder, labels


def cosine(left: list[float], right: list[float]) -> float:
    """Of vectors of unit length."""
    return sum(a * b for a, b in zip(left, right, strict=True))


def toy(entry: Entry, folder: Path) -> Entry:
    """The entry with the files of a tiny model."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    pinned = {name: Pinned(path.stat().st_size, sha256(path)) for name, path in files.items()}
    return Entry(entry.name, "embedding", "MIT", ("en",), 32, pinned, (), query=entry.query, passage=entry.passage)


async def test_what_it_says_of_itself(host: Host, text_models: Path) -> None:
    embedder, _ = await opened(host)
    assert embedder.info.context_length == 32
    assert embedder.info.details == {
        "name": "",
        "model": f"one@{sha256(text_models / 'one' / 'model.safetensors')[:SHORT]}",
        "folder": str(text_models / "one"),
        "dimensions": 16,
        "precision": "float32",
        "tokenizer": str(text_models / "one" / "tokenizer.json"),
        "languages": [],
        "relevant_from": 0.0,
    }
    # Nothing stands before questions where the model was not trained so, as with the default one.
    assert MINILM.prompts is None
    (same,), (again,) = await embedder.embed(["a parcel"]), await embedder.embed(["a parcel"], query=True)
    assert cosine(same, again) > 0.99999


async def test_background_work_waits_for_an_answer(host: Host) -> None:
    embedder, _ = await opened(host)
    done: list[Progress] = []
    texts = [f"w{n % 60} a parcel is late" for n in range(20_000)]
    work = asyncio.ensure_future(embedder.embed(texts, background=True, report=done.append))
    await soon(lambda: done)
    with host.workers.foreground():
        # What the child had sent before it was stopped still arrives.
        await asyncio.sleep(0.5)
        stopped = len(done)
        await asyncio.sleep(1.0)
        assert len(done) == stopped
        assert not work.done()
    assert len(await work) == 20_000
    assert (done[-1].done, done[-1].total) == (20_000, 20_000)


async def test_settings_that_change_open_it_anew(host: Host, text_models: Path) -> None:
    texts = [f"a parcel w{n} w{n + 1}" for n in range(50)]
    first, _ = await opened(host)
    assert await opened(host) == (first, [])
    exact = await first.embed(texts)
    # In bfloat16 the vectors are near, and of unit length.
    host.set_config("embeddings", "precision", "bfloat16")
    second, labels = await opened(host)
    assert labels == ["Opening one"]
    assert first.pid is None
    assert second.info.details["precision"] == "bfloat16"
    rounded = await second.embed(texts)
    assert rounded.data != exact.data
    assert all(math.isclose(cosine(row, row), 1, abs_tol=1e-5) for row in rounded)
    assert min(cosine(left, right) for left, right in zip(exact, rounded, strict=True)) > 0.995

    host.set_config("embeddings", "folder", str(text_models / "two"))
    third, labels = await opened(host)
    assert labels == ["Opening two"]
    assert second.pid is None
    assert third.info.details["model"] != second.info.details["model"]
    host.set_config("embeddings", "folder", str(text_models / "three"))
    with pytest.raises(EngineError, match=r"three of the setting embeddings\.folder holds no sentence-transformers"):
        await opened(host)


async def test_a_model_is_asked_for_by_name(host: Host, text_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {MINILM.name: toy(MINILM, text_models / "one"), E5.name: toy(E5, text_models / "two")}
    monkeypatch.setattr(fetching, "CATALOGUE", known)
    (host.paths.data / "embeddings").mkdir(parents=True)
    for name, folder in ((MINILM.name, "one"), (E5.name, "two")):
        (host.paths.data / "embeddings" / name).symlink_to(text_models / folder)
    embedder, labels = await opened(host, E5.name)
    assert labels == [f"Opening {E5.name}"]
    assert (embedder.info.model, embedder.info.details["name"]) == (E5.name, E5.name)
    assert embedder.info.details["languages"] == ["en"]
    # The setting chooses the same model: nothing is opened again.
    host.set_config("embeddings", "folder", "")
    host.set_config("embeddings", "model", E5.name)
    assert await opened(host) == (embedder, [])
    with pytest.raises(EngineError, match="There is no embedding model called 'nobody'"):
        await opened(host, "nobody")
    # What the model was trained to see before questions and passages stands there.
    (plain, prefixed), questions = (
        await embedder.embed(["a parcel", "w1"]),
        await embedder.embed(["a parcel"], query=True),
    )
    assert cosine(plain, questions[0]) < 0.9999
    assert len(prefixed) == 16
