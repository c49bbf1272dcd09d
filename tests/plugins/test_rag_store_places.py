"""Where the index lies: places that are none, damage on the disk, and who may read it."""

from __future__ import annotations

import shutil
import stat
import sys
from pathlib import Path

import pytest

from chatapp import EngineError, OfflineError
from chatapp_rag.store.client import Store
from tests.plugins.rag_store_support import host_of, listed, made, put, stored, swept, vector


async def refused(store: Store, place: str) -> str:
    """What the store says where nothing can be kept: one sentence that names the place."""
    with pytest.raises(EngineError) as raised:
        await store.collections()
    said = str(raised.value)
    assert place in said
    assert "Traceback" not in said
    assert ".rs" not in said
    assert said.endswith(".")
    assert "\n" not in said
    return said


async def test_a_file_where_the_folder_should_be_is_named_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    for place in (file, file / "deeper" / "rag"):
        async with stored(tmp_path / "home", uri=str(place)) as store:
            await refused(store, str(place))
    assert file.read_text() == "mine"


@pytest.mark.skipif(sys.platform != "linux", reason="needs a place where nobody may write, the superuser included")
async def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    async with stored(tmp_path, uri="/proc/rag") as store:
        await refused(store, "/proc/rag")


async def test_a_scheme_that_nothing_serves_is_named(tmp_path: Path) -> None:
    async with stored(tmp_path, uri="foo://bucket/rag") as store:
        assert "foo" in await refused(store, "foo://bucket/rag")


async def test_a_folder_of_other_things_is_used_beside_them(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "photos.lance").mkdir()
    async with stored(tmp_path / "home", uri=str(tmp_path)) as store:
        collection = await made(store)
        await put(store, collection, a=["The river is long."])
        assert await store.collections() == [collection]
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "photos.lance").is_dir()


async def test_a_folder_is_found_again_from_every_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    for uri, place in (("mine/rag", tmp_path / "home/data/mine/rag"), ("~/rag", tmp_path / "user/rag")):
        for number in range(2):
            (tmp_path / str(number)).mkdir(exist_ok=True)
            monkeypatch.chdir(tmp_path / str(number))
            async with stored(tmp_path / "home", uri=uri) as store:
                await made(store, f"from {number}")
                assert len(await store.collections()) == number + 1
        assert (place / "collections.lance").is_dir()


@pytest.mark.skipif(sys.platform == "win32", reason="has no modes")
async def test_the_index_is_private_wherever_it_lies(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    for uri in ("", str(shared), str(tmp_path / "new/below"), f"file://{tmp_path}/asuri"):
        async with stored(tmp_path / "home", uri=uri) as store:
            collection = await made(store)
            await put(store, collection, a=["The river is long."])
            await swept(store, collection)
    places = [tmp_path / "home/data/rag", tmp_path / "new", tmp_path / "asuri", *shared.iterdir()]
    within = [path for place in places for path in (place, *place.rglob("*"))]
    assert len(within) > 40
    assert not [path for path in within if stat.S_IMODE(path.stat().st_mode) & 0o077]
    # A folder that was there before keeps the mode it was given.
    assert stat.S_IMODE(shared.stat().st_mode) == 0o755


def cut(path: Path) -> None:
    """As after a full disk: only the beginning is there."""
    path.write_bytes(path.read_bytes()[:20])


@pytest.mark.parametrize("part", ["_versions/*", "data/*"])
async def test_a_damaged_collection_is_said_in_one_sentence_and_the_others_work(tmp_path: Path, part: str) -> None:
    async with stored(tmp_path) as store:
        bad, good = await made(store, "bad"), await made(store, "good")
        for collection in (bad, good):
            await put(store, collection, a=["The river is long."])
    files = list(Path(store.uri).glob(f"{bad.id}-chunks.lance/{part}"))
    assert files
    for path in files:
        cut(path)
    async with stored(tmp_path) as store:
        assert await store.collections() == [bad, good]
        for act in (
            lambda: store.search(bad, "river", vector("river"), 5, 0.5),
            lambda: store.present(bad),
            lambda: swept(store, bad),
            lambda: listed(store.verify(bad, tune=True)),
        ):
            with pytest.raises(EngineError, match=r"failed: [^\n]+; where that stays so, [^\n]+\.$") as raised:
                await act()
            assert ".rs" not in str(raised.value)
        assert len((await store.search(good, "river", vector("river"), 5, 0.5)).hits) == 1
        await store.drop(bad)
        assert await store.collections() == [good]


async def test_a_collection_without_its_tables_is_said_and_can_be_dropped(tmp_path: Path) -> None:
    async with stored(tmp_path) as store:
        collection = await made(store)
        await put(store, collection, a=["The river is long."])
    shutil.rmtree(Path(store.uri) / f"{collection.id}-files.lance")
    async with stored(tmp_path) as store:
        with pytest.raises(EngineError, match="lacks a table"):
            await store.entries(collection)
        await store.drop(collection)
        assert await store.collections() == []


@pytest.mark.parametrize("uri", ["s3://bucket/rag", "gs://bucket", "db://name", "oss://bucket", "hf://datasets/x"])
async def test_offline_no_index_on_another_machine_is_asked(tmp_path: Path, uri: str) -> None:
    for options in ({}, {"endpoint": "https://s3.example.com"}, {"AWS_ENDPOINT": "http://10.0.0.1:9000"}):
        host = host_of(tmp_path, offline=True, uri=uri, storage_options=options)
        with pytest.raises(OfflineError, match="another machine"):
            await Store(host).collections()
        await host.shutdown()
