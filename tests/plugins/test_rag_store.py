"""The document store in its real child processes: what is written is there, whole, whatever happens in between."""

from __future__ import annotations

import asyncio
import os
import signal
from array import array
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest
import pytest_asyncio

from chatapp import UsageError, WorkerDied
from chatapp_rag.collection import Collection, Entry
from chatapp_rag.store.client import Store
from chatapp_rag.store.service import COMPACTED
from chatapp_rag.store.upkeep import LOOSE
from tests.plugins.rag_store_support import (
    digest_of,
    found,
    host_of,
    made,
    put,
    stage,
    stored,
    swept,
    table_of,
    vector,
    verdicts,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBERS = count(1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def store(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Store]:
    """A store in which each test has a collection of its own."""
    async with stored(tmp_path_factory.mktemp("store")) as made:
        yield made


async def test_collections_are_made_changed_removed_and_dropped(tmp_path: Path) -> None:
    async with stored(tmp_path) as store:
        assert await store.collections() == []
        first, second = await made(store, "first"), await made(store, "Второй 2")
        changed = await store.change(first, language="pt", roots=("/a", "/b"))
        assert [each.name for each in await store.collections()] == ["first", "Второй 2"]
        assert (await store.collections())[0] == changed
        assert (changed.language, changed.roots) == ("pt", ("/a", "/b"))
        gone = await store.change(second, removed=1.0)
        assert [each.name for each in await store.collections()] == ["first"]
        assert await store.collections(removed=True) == [gone]
        await store.drop(gone)
        assert await store.collections(removed=True) == []
        assert not any(second.id in path.name for path in Path(store.uri).iterdir())
        with pytest.raises(UsageError, match="gone"):
            await store.change(second, removed=None)


async def test_what_one_process_wrote_the_next_one_finds(tmp_path: Path) -> None:
    async with stored(tmp_path) as store:
        collection = await made(store)
        await put(store, collection, a=["The river is long.", "It ends at the sea."], b=["Cats sleep."])
    async with stored(tmp_path) as store:
        assert await store.collections() == [collection]
        entries = {entry.path: entry.chunks for entry in await store.entries(collection)}
        assert entries == {"/a": 2, "/b": 1}
        assert await store.present(collection) == {digest_of("/a"): 2, digest_of("/b"): 1}
        hit = (await store.search(collection, "Cats sleep.", vector("Cats sleep."), 3, 0.5)).hits[0]
        assert (hit.text, hit.paths, hit.ordinal) == ("Cats sleep.", ("/b",), 0)
        assert hit.similarity == pytest.approx(1.0, abs=1e-5)
        around = await store.around((await store.collections())[0], hit, 2)
        assert [each.text for each in around] == ["Cats sleep."]


async def test_staged_chunks_are_in_no_search_before_they_are_committed(store: Store) -> None:
    collection = await made(store, f"notes {next(NUMBERS)}")
    await put(store, collection, old=["The old text."])
    entry = await stage(store, collection, "/new", ["The new text."])
    assert await found(store, collection, "The new text.") == ["The old text."]
    assert (await store.stats(collection)).files == 1
    await store.discard(collection)
    await store.commit(collection, [])
    assert (await store.stats(collection)).chunks == 1
    assert entry == await stage(store, collection, "/new", ["The new text."])
    await store.commit(collection, [entry])
    assert (await found(store, collection, "The new text."))[0] == "The new text."


async def test_a_file_that_is_forgotten_is_found_no_longer_and_the_sweep_deletes_its_chunks(store: Store) -> None:
    collection = await made(store, f"notes {next(NUMBERS)}")
    await put(store, collection, a=["The river is long."], b=["Cats sleep."])
    await swept(store, collection)
    await store.forget(collection, ["/a", "/it's not there"])
    assert await found(store, collection, "The river is long.") == ["Cats sleep."]
    assert (await store.stats(collection)).chunks == 2
    await swept(store, collection)
    assert (await store.stats(collection)).chunks == 1
    assert digest_of("/a") not in await store.present(collection)


async def test_chunks_that_were_written_twice_are_seen_and_mended(store: Store) -> None:
    collection = await made(store, f"notes {next(NUMBERS)}")
    for _ in range(2):
        await put(store, collection, a=["The river is long.", "It ends at the sea."])
    assert (await store.stats(collection)).chunks == 4
    assert not (await verdicts(store, collection))["files"]
    await swept(store, collection)
    assert sorted(await found(store, collection, "river")) == ["It ends at the sea.", "The river is long."]
    assert all((await verdicts(store, collection)).values())


async def test_verify_sees_lost_chunks_and_lost_files(store: Store) -> None:
    collection = await made(store, f"notes {next(NUMBERS)}")
    await put(store, collection, a=["The river is long.", "It ends at the sea."], b=["Cats sleep."])
    await swept(store, collection)
    assert all((await verdicts(store, collection)).values())
    table_of(store, collection).delete("text = 'It ends at the sea.'")
    assert await verdicts(store, collection) == {"files": False, "vectors": True, "words": True, "search": True}
    assert (await store.present(collection))[digest_of("/a")] == 1


def damage(store: Store, collection: Collection, before: list[float], after: list[float]) -> None:
    """Overwrite a vector where it lies on the disk."""
    old, new = (array("f", values).tobytes() for values in (before, after))
    (file,) = [
        path for path in Path(store.uri).glob(f"{collection.id}-chunks.lance/data/*.lance") if old in path.read_bytes()
    ]
    file.write_bytes(file.read_bytes().replace(old, new))


@pytest.mark.parametrize("values", [[float("nan")] * 16, [0.0] * 16, [0.5] * 16, [float("inf")] + [0.0] * 15])
async def test_verify_sees_damaged_vectors(store: Store, values: list[float]) -> None:
    collection = await made(store, f"notes {next(NUMBERS)}")
    await put(store, collection, a=["The river is long."], b=["Cats sleep."])
    damage(store, collection, vector("The river is long."), values)
    seen = await verdicts(store, collection)
    assert (seen["files"], seen["vectors"]) == (True, False)
    assert await found(store, collection, "Cats sleep.")


async def test_a_store_whose_process_is_killed_goes_on(tmp_path: Path) -> None:
    async with stored(tmp_path) as store:
        collection = await made(store)
        await put(store, collection, a=["The river is long."])
        entry = await stage(store, collection, "/lost", ["What was staged is lost."])
        waiting = asyncio.ensure_future(store.commit(collection, [entry]))
        await asyncio.sleep(0)
        assert store._writing.pid is not None
        os.kill(store._writing.pid, signal.SIGKILL)
        with pytest.raises(WorkerDied, match="document index process was ended by SIGKILL"):
            await waiting
        assert "/a" in {entry.path for entry in await store.entries(collection)}
        await put(store, collection, b=["Cats sleep."], lost=["What was staged is lost."])
        await swept(store, collection)
        assert sorted(await store.present(collection)) == sorted(map(digest_of, ("/a", "/b", "/lost")))
        assert all((await verdicts(store, collection)).values())


async def test_searches_are_answered_while_another_process_writes(store: Store) -> None:
    collection = await made(store, f"notes {next(NUMBERS)}")
    await put(store, collection, first=["The river is long."])

    async def write() -> None:
        async with store.writing():
            for number in range(12):
                await put(store, collection, **{f"n{number}": [f"Text {number} is about the river."]})
                # The first searches find no full-text index and make one, beside the writer.
                if number >= 6:
                    await swept(store, collection)

    writer = asyncio.ensure_future(write())
    sizes = []
    while not writer.done():
        sizes.append(len(await found(store, collection, "the river", limit=50)))
    await writer
    assert sizes == sorted(sizes)
    assert len(await found(store, collection, "the river", limit=50)) == 13


async def test_many_commits_without_a_sweep_leave_few_pieces(store: Store) -> None:
    collection = await made(store, f"notes {next(NUMBERS)}")
    for number in range(COMPACTED + 8):
        await store.commit(collection, [Entry(f"/{number}", "", 1, 1, reason="It is empty.")])
    assert len(await store.entries(collection)) == COMPACTED + 8
    assert table_of(store, collection, "files").stats()["fragment_stats"]["num_fragments"] <= 9


async def test_small_changes_do_not_write_a_large_collection_again(store: Store) -> None:
    collection = await made(store, f"notes {next(NUMBERS)}")
    await put(store, collection, large=[f"Sentence {number} of a long text." for number in range(3000)])
    await swept(store, collection)
    size = (await store.stats(collection)).size
    for number in range(4):
        await put(store, collection, **{f"n{number}": [f"A note, number{number}."]})
        await swept(store, collection)
    written = sum(path.stat().st_size for path in Path(store.uri).glob(f"{collection.id}-chunks.lance/data/*"))
    assert written < 1.5 * size
    assert (await found(store, collection, "number3", weight=0.0)) == ["A note, number3."]
    await put(store, collection, more=[f"Line {number} of another text." for number in range(LOOSE)])
    await swept(store, collection)
    await swept(store, collection)
    assert table_of(store, collection).index_stats("text_idx").num_unindexed_rows == 0


async def test_two_applications_read_and_write_one_collection(tmp_path: Path) -> None:
    async with stored(tmp_path) as one:
        # A second application of the same user; its processes are other ones.
        host = host_of(tmp_path)
        other = Store(host)
        collection = await made(one)

        async def write(store: Store, name: str) -> None:
            for number in range(8):
                await put(store, collection, **{f"{name}{number}": [f"{name} {number} writes."]})

        await asyncio.gather(write(one, "one"), write(other, "other"))
        assert one._writing.pid != other._writing.pid
        for store in (one, other):
            assert len(await store.entries(collection)) == 16
            assert len(await found(store, collection, "writes", limit=50)) == 16
        await swept(one, collection)
        assert all((await verdicts(other, collection)).values())
        await host.shutdown()


async def test_paths_with_quotes_and_other_scripts_are_paths_like_others(store: Store) -> None:
    collection = await made(store, f"notes {next(NUMBERS)}")
    names = ["/it's.txt", '/"quoted" -- x.txt', "/Отчёт 报告.txt", "/%_like\\.txt"]
    await store.commit(collection, [await stage(store, collection, name, [f"Text of {name}"]) for name in names])
    assert sorted(entry.path for entry in await store.entries(collection)) == sorted(names)
    await store.forget(collection, [names[0]])
    await store.commit(collection, [Entry(names[1], "", 2, 2, reason="It is empty.")])
    held = {entry.path: entry.reason for entry in await store.entries(collection)}
    assert held == {names[1]: "It is empty.", names[2]: "", names[3]: ""}
