"""The reranker over a tiny cross-encoder: scores, stopping, dying, and models that are none."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

import chatapp_embeddings
from chatapp import EngineError, Host, OfflineError, Progress, Reranker, Session
from chatapp.testing import make_host
from chatapp_embeddings import fetching
from chatapp_embeddings.catalogue import MARCO
from chatapp_embeddings.files import Pinned, sha256
from chatapp_embeddings.reranker import CrossEncoderReranker
from chatapp_embeddings.sources import HubFiles
from tests.plugins.embeddings_support import embedding_host
from tests.support_models import Hub, serving, soon

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def model(text_models: Path) -> Path:
    """A folder with a tiny cross-encoder."""
    return text_models / "reranker"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def started(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Host]:
    """A started host with the plugin; what one test has opened stays open for the next one that wants the same."""
    async with embedding_host(tmp_path_factory.mktemp("home")) as made:
        yield made


@pytest.fixture
def host(started: Host) -> Host:
    """The host with the settings as they are at first, but for steps of three texts."""
    for name, value in (("reranker", MARCO.name), ("batch", 3)):
        started.set_config("embeddings", name, value)
    return started


async def opened(host: Host) -> CrossEncoderReranker:
    """The open reranker."""
    async with aclosing(host.engines.ready(Session(host), "reranker")) as news:
        async for _ in news:
            pass
    reranker = host.engines.current("reranker")
    assert isinstance(reranker, CrossEncoderReranker)
    return reranker


async def test_scores_are_in_the_order_of_the_texts(host: Host, model: Path) -> None:
    host.set_config("embeddings", "reranker", str(model))
    reranker = await opened(host)
    assert isinstance(reranker, Reranker)
    assert (reranker.info.model, reranker.info.context_length) == (model.name, 32)
    texts = ["parcel", "money late money", "password ?", "w1 w2 w3 w4 w5 w6 w7 w8", "", "parcel " * 200, "lost"]
    done: list[Progress] = []
    scores = await reranker.score("a parcel", texts, report=done.append)
    assert all(0 < score < 1 for score in scores)
    assert len(set(scores)) == len(texts)
    assert [each.done for each in done] == [3, 6, 7]
    alone = [(await reranker.score("a parcel", [text]))[0] for text in texts]
    assert scores == pytest.approx(alone, abs=1e-5)
    # The question counts.
    assert await reranker.score("money", texts) != pytest.approx(scores, abs=1e-3)
    assert await reranker.score("money", []) == []


async def test_it_stops_and_starts_again(host: Host, model: Path) -> None:
    host.set_config("embeddings", "reranker", str(model))
    reranker = await opened(host)
    done: list[Progress] = []
    task = asyncio.ensure_future(reranker.score("a parcel", ["w1 w2 w3"] * 100_000, report=done.append))
    await soon(lambda: done)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done[-1].done < 100_000
    first = reranker.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    await soon(lambda: reranker.pid is None)
    assert len(await reranker.score("a", ["parcel"])) == 1
    assert reranker.pid not in (None, first)


async def test_it_is_pulled_from_the_hub(
    host: Host, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("huggingface_hub")
    names = [str(path.relative_to(model)) for path in model.rglob("*") if path.is_file()]
    pinned = {name: Pinned((model / name).stat().st_size, sha256(model / name)) for name in names}
    entry = replace(MARCO, files=pinned, sources=(HubFiles("toys/reranker"),))
    monkeypatch.setattr(fetching, "CATALOGUE", {MARCO.name: entry})
    with serving(Hub({f"toys/reranker/{name}": (model / name).read_bytes() for name in names})) as hub:
        for name, value in hub.environment(tmp_path / "hf").items():
            monkeypatch.setenv(name, value)
        reranker = await opened(host)
    assert reranker.info.details["name"] == MARCO.name
    assert len(await reranker.score("a", ["parcel", "money"])) == 2
    # The same model by name: nothing is opened again.
    assert await opened(host) is reranker


async def test_offline_it_is_not_pulled(tmp_path: Path, model: Path) -> None:
    host = make_host(tmp_path, offline=True)
    host.add("embeddings", chatapp_embeddings)
    with pytest.raises(OfflineError, match=f"run `chatapp embeddings pull {MARCO.name}` once without --offline"):
        await opened(host)


async def test_a_model_that_gives_no_score(host: Host, text_models: Path, tmp_path: Path) -> None:
    host.set_config("embeddings", "reranker", str(tmp_path / "nothing"))
    with pytest.raises(EngineError, match=r"setting embeddings\.reranker holds no cross-encoder model \(no config"):
        await opened(host)
    host.set_config("embeddings", "reranker", str(text_models / "three"))
    with pytest.raises(EngineError, match="gives 3 numbers where a reranker gives one score"):
        await opened(host)
    assert host.workers._workers == []
