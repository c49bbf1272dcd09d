"""An index in an S3 bucket: a real S3-compatible server, the real commands, and what is said when it is not reached."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from moto.core.authorization import ActionAuthenticatorMixin
from moto.server import ThreadedMotoServer

from chatapp import EngineError
from chatapp_rag.store.client import Store
from tests.plugins.rag_store_support import host_of
from tests.plugins.rag_support import documents, run, written

FILES = {"rivers.md": "# Rivers\n\nThe Tagus flows through Lisbon.", "cats.txt": "Cats sleep sixteen hours a day."}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server with the bucket "bucket"."""
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    with urlopen(Request(f"{endpoint}/bucket", method="PUT")):
        pass
    yield endpoint
    moto.stop()


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys, where the settings say they are."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")


def index_at(endpoint: str, uri: str = "s3://bucket/rag", *, http: bool = True) -> dict[str, Any]:
    """The settings for an index there."""
    options = {"endpoint": endpoint, "region": "us-east-1", **({"allow_http": "true"} if http else {})}
    return {"uri": uri, "storage_options": options}


async def test_an_index_in_a_bucket_is_one_like_any_other(tmp_path: Path, server: str) -> None:
    folder = written(tmp_path / "docs", FILES)
    async with documents(tmp_path, **index_at(server)) as session:
        await run(session, f"/rag add {folder}")
        assert "2 files, 2 passages" in await run(session, "/rag")
        assert "Tagus" in await run(session, "/rag search Which river flows through Lisbon?")
        (folder / "cats.txt").write_text("Cats sleep all day.")
        (folder / "rivers.md").unlink()
        await run(session, "/rag add")
    # Nothing of it is on this machine: another home finds it in the bucket.
    assert not (tmp_path / "home/data/rag").exists()
    async with documents(tmp_path / "elsewhere", **index_at(server)) as session:
        found = await run(session, "/rag search cats")
        assert "all day" in found
        assert "Tagus" not in found
        assert "WRONG" not in await run(session, "/rag verify")
        await run(session, "/rag rm documents")
        await run(session, "/rag purge")
        assert "documents" not in await run(session, "/rag list")


async def test_offline_a_bucket_on_this_machine_is_used(tmp_path: Path, server: str) -> None:
    host = host_of(tmp_path, offline=True, **index_at(server, "s3://bucket/offline"))
    store = Store(host)
    assert await store.collections() == []
    await host.shutdown()


async def said(folder: Path, rag: dict[str, Any]) -> str:
    """What the store says where the bucket is not reached: one short sentence."""
    host = host_of(folder, **rag)
    with pytest.raises(EngineError) as raised:
        await Store(host).collections()
    await host.shutdown()
    text = str(raised.value)
    assert re.fullmatch(r"The document store at s3://\S+ cannot be opened: [^{}\n]{5,150}\.", text), text
    return text


async def test_a_bucket_that_is_not_there_is_named(tmp_path: Path, server: str) -> None:
    assert "bucket does not exist" in await said(tmp_path, index_at(server, "s3://another/rag"))


async def test_a_server_that_is_down_is_said(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert "refused" in await said(tmp_path, index_at(f"http://127.0.0.1:{port}"))


async def test_an_address_without_encryption_must_be_allowed(tmp_path: Path, server: str) -> None:
    assert "allow_http" in await said(tmp_path, index_at(server, http=False))


async def test_wrong_keys_are_said(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # From now on the server looks at keys, and knows none.
    monkeypatch.setattr(ActionAuthenticatorMixin, "request_count", 0)
    monkeypatch.setattr("moto.settings.INITIAL_NO_AUTH_ACTION_COUNT", 0)
    assert "does not exist in our records" in await said(tmp_path, index_at(server))


async def test_missing_keys_are_said(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "AWS_ACCESS_KEY_ID" in await said(tmp_path, index_at(server))
