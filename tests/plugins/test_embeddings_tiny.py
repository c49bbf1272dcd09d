"""The embedder over a tiny model: prompts, precisions, steps, names, and settings that change."""

from __future__ import annotations

import asyncio
import math
from array import array
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

import chatapp_embeddings
from chatapp import EngineError, Host, Job, Progress, Session, Vectors
from chatapp.testing import RecordingUI, make_host
from chatapp_embeddings import fetching
from chatapp_embeddings.catalogue import E5, MINILM, Entry
from chatapp_embeddings.engine import SentenceEmbedder
from chatapp_embeddings.files import SHORT, Pinned, sha256
from chatapp_embeddings.loading import costs, precision_for, steps
from tests.plugins.tiny_models import make
from tests.support_models import soon


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two models that differ in their weights."""
    folder = tmp_path_factory.mktemp("models")
    make("embedding", folder / "one", seed=1)
    make("embedding", folder / "two", seed=2)
    return folder


@pytest.fixture
async def host(tmp_path: Path, models: Path) -> AsyncIterator[Host]:
    """A started host whose embedder is the first model, computed in float32."""
    made = make_host(tmp_path, RecordingUI(), offline=True)
    made.add("embeddings", chatapp_embeddings)
    made.set_config("embeddings", "folder", str(models / "one"))
    made.set_config("embeddings", "precision", "float32")
    await made.startup()
    try:
        yield made
    finally:
        await made.shutdown()


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


async def test_what_it_says_of_itself(host: Host, models: Path) -> None:
    embedder, labels = await opened(host)
    assert labels == ["Opening one"]
    assert embedder.info.context_length == 32
    assert embedder.info.details == {
        "name": "",
        "model": f"one@{sha256(models / 'one' / 'model.safetensors')[:SHORT]}",
        "folder": str(models / "one"),
        "dimensions": 16,
        "precision": "float32",
        "tokenizer": str(models / "one" / "tokenizer.json"),
        "languages": [],
        "relevant_from": 0.0,
    }


async def test_bfloat16_is_near_and_of_unit_length(host: Host) -> None:
    texts = [f"a parcel w{n} w{n + 1}" for n in range(50)]
    exact = await (await opened(host))[0].embed(texts)
    host.set_config("embeddings", "precision", "bfloat16")
    embedder, labels = await opened(host)
    assert labels == ["Opening one"]
    assert embedder.info.details["precision"] == "bfloat16"
    rounded = await embedder.embed(texts)
    assert rounded.data != exact.data
    assert all(math.isclose(cosine(row, row), 1, abs_tol=1e-5) for row in rounded)
    assert min(cosine(left, right) for left, right in zip(exact, rounded, strict=True)) > 0.995


async def test_settings_that_change_open_it_anew(host: Host, models: Path) -> None:
    first, _ = await opened(host)
    assert await opened(host) == (first, [])
    host.set_config("embeddings", "folder", str(models / "two"))
    second, labels = await opened(host)
    assert labels == ["Opening two"]
    assert first.pid is None
    assert second.info.details["model"] != first.info.details["model"]
    host.set_config("embeddings", "folder", str(models / "three"))
    with pytest.raises(EngineError, match=r"three of the setting embeddings\.folder holds no sentence-transformers"):
        await opened(host)


async def test_a_model_is_asked_for_by_name(host: Host, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = {MINILM.name: toy(MINILM, models / "one"), E5.name: toy(E5, models / "two")}
    monkeypatch.setattr(fetching, "CATALOGUE", known)
    (host.paths.data / "embeddings").mkdir(parents=True)
    for name, folder in ((MINILM.name, "one"), (E5.name, "two")):
        (host.paths.data / "embeddings" / name).symlink_to(models / folder)
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
    other, _ = await opened(host, MINILM.name)
    (same,), (again,) = await other.embed(["a parcel"]), await other.embed(["a parcel"], query=True)
    assert cosine(same, again) > 0.99999
    assert len(prefixed) == 16


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


def test_vectors() -> None:
    vectors = Vectors.of([[1.0, 0.0], [0.0, 1.0], [0.5, 0.25]])
    assert (len(vectors), vectors.dimensions) == (3, 2)
    assert list(vectors) == [[1.0, 0.0], [0.0, 1.0], [0.5, 0.25]]
    assert vectors[-1] == [0.5, 0.25]
    assert list(vectors[1:]) == [[0.0, 1.0], [0.5, 0.25]]
    assert vectors.data == array("f", [1, 0, 0, 1, 0.5, 0.25]).tobytes()
    with pytest.raises(IndexError):
        vectors[3]
    assert list(Vectors.of([])) == []


def test_steps_are_sorted_bounded_and_cancelled() -> None:
    texts = ["x" * length for length in (4, 4000, 40, 400, 4000, 8)]
    lengths = costs(texts, 256)
    assert lengths == [3, 256, 12, 102, 256, 4]
    job = Job(1, lambda value: None)
    taken = list(steps(job, lengths, 2, list))
    assert taken == [(some, some) for some in ([1, 4], [3, 2], [5, 0])]
    # A step holds no more than its tokens at first, whatever the number of texts allowed.
    first, _ = next(steps(job, [256] * 100, 64, list))
    assert len(first) == 8
    job.cancelled = True
    assert list(steps(job, lengths, 2, list)) == []


def test_auto_is_float32_off_the_processor() -> None:
    assert precision_for("bfloat16", "cpu") == "bfloat16"
    assert precision_for("float32", "cpu") == "float32"
    pytest.importorskip("torch")
    assert precision_for("auto", "cuda") == "float32"
    assert precision_for("auto", "cpu") in ("float32", "bfloat16")
