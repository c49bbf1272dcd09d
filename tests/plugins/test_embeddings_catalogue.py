"""The catalogue of models, choosing among them, and fetching one by name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from chatapp import Data, EngineError, Host, Session, Text
from chatapp.actions import run
from chatapp_embeddings import fetching
from chatapp_embeddings.catalogue import CATALOGUE, MARCO, MINILM, names
from chatapp_embeddings.fetching import choose, named
from chatapp_embeddings.files import Pinned, damaged, identity
from chatapp_embeddings.sources import HubFiles
from tests.plugins.embeddings_support import embedding_host
from tests.support_models import Hub, drain, serving, sha256

HELD = {"model.safetensors": bytes(range(256)) * 400, "config.json": b"{}"}
PINNED = {name: Pinned(len(data), sha256(data)) for name, data in HELD.items()}


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """A started host with the plugin."""
    async with embedding_host(tmp_path) as made:
        yield made


def test_what_is_pinned_is_the_whole_model() -> None:
    assert len(MINILM.files) == 10
    assert MINILM.identity == "all-MiniLM-L6-v2@53aa51172d14"
    assert damaged(Path("nowhere"), MINILM.files) == list(MINILM.files)


def test_the_catalogue() -> None:
    assert names("embedding") == ["all-MiniLM-L6-v2", "multilingual-e5-small"]
    assert names("reranker") == ["ms-marco-MiniLM-L6-v2", "mmarco-mMiniLMv2-L12-H384-v1"]
    for entry in CATALOGUE.values():
        assert {"model.safetensors", "config.json", "tokenizer.json"} <= set(entry.files)
        assert ("modules.json" in entry.files) == (entry.dimensions > 0) == (entry.work == "embedding")
        assert all(len(each.sha256) == 64 and int(each.sha256, 16) for each in entry.files.values())
        assert entry.sources
        assert entry.licence in ("MIT", "Apache-2.0")


def test_prompts_of_the_catalogue() -> None:
    assert MINILM.prompts is None
    assert CATALOGUE["multilingual-e5-small"].prompts == {"query": "query: ", "document": "passage: "}


def test_a_name_that_is_nobodys(host: Host) -> None:
    for work, model in (("embedding", "ms-marco-MiniLM-L6-v2"), ("reranker", "all-MiniLM-L6-v2")):
        with pytest.raises(EngineError, match=rf"^There is no {work} model called '{model}'; choose one of [^\n]+\.$"):
            choose(host, work, model)  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="no embedding model called 'nonsense'"):
        named(host, "nonsense")
    assert named(host, "mmarco-mMiniLMv2-L12-H384-v1").reranks
    assert not named(host, "").reranks


def test_an_identity_is_of_the_weights(tmp_path: Path) -> None:
    seen = set()
    for folder, data in (("one", b"1"), ("two", b"1"), ("one", b"2")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "model.safetensors").write_bytes(data)
        seen.add(identity(tmp_path / folder))
    assert len(seen) == 3
    assert f"one@{sha256(b'2')[:12]}" in seen
    (tmp_path / "one" / "notes.txt").write_text("other")
    assert identity(tmp_path / "one") in seen
    (tmp_path / "one" / "model-2.safetensors").write_bytes(b"3")
    assert identity(tmp_path / "one") not in seen


async def test_the_list_says_what_is_here_and_chosen(host: Host) -> None:
    for name, pinned in MINILM.files.items():
        path = host.paths.data / "embeddings" / MINILM.name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(min(pinned.size, 10)))
    (shown,) = await drain(run(host.actions["embeddings list"], Session(host), {}))
    assert isinstance(shown, Data)
    states = {row["name"]: (row["size"], row["state"]) for row in shown.value}
    assert states == {
        "all-MiniLM-L6-v2": ("92 MB", "here, chosen"),
        "multilingual-e5-small": ("488 MB", ""),
        "ms-marco-MiniLM-L6-v2": ("92 MB", "chosen"),
        "mmarco-mMiniLMv2-L12-H384-v1": ("488 MB", ""),
    }


async def test_pulling_by_name(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub")
    entry = replace(MARCO, files=PINNED, sources=(HubFiles("toys/model", "b" * 40),))
    monkeypatch.setattr(fetching, "CATALOGUE", {MARCO.name: entry})
    hub = Hub({f"toys/model/{name}": data for name, data in HELD.items()})
    with serving(hub):
        for name, value in hub.environment(tmp_path / "hf").items():
            monkeypatch.setenv(name, value)
        said = await drain(run(host.actions["embeddings pull"], Session(host), {"name": MARCO.name}))
    folder = host.paths.data / "embeddings" / MARCO.name
    assert said[-1] == Text(f"The reranker is in {folder}.")
    assert {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()} == HELD
