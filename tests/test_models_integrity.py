"""The store finds damage: to its own records, to blobs, and to files it only refers to."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chatapp.errors import ModelError
from chatapp.models import Store
from tests.support_models import ALPHA, BETA, drain, gguf, toy_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store that knows three toy models."""
    return toy_store(tmp_path)


def names(store: Store) -> list[str]:
    return [one.name for one in store.list()]


def problems(store: Store) -> list[str]:
    return [one.problem for one in store.list()]


async def test_a_lost_index_costs_nothing_for_catalogue_models(store: Store) -> None:
    await drain(store.pull("beta"))
    (store.root / "names" / "beta.json").unlink()
    assert names(store) == ["beta"]
    (store.root / "names" / "beta.json").write_text('{"name": "beta", "si')
    assert problems(store) == [""]
    assert store.path("beta").read_bytes() == BETA


@pytest.mark.parametrize("damage", ["", "[]", '{"name": "mine"}', "\x00\x01"])
async def test_a_broken_record_costs_one_model_and_says_so(store: Store, tmp_path: Path, damage: str) -> None:
    for name in ("mine", "yours"):
        (tmp_path / f"{name}.gguf").write_bytes(gguf(99))
        await drain(store.add(tmp_path / f"{name}.gguf"))
    (store.root / "names" / "mine.json").write_text(damage)
    assert names(store) == ["mine", "yours"]
    assert "cannot be read: run `chatapp models rm mine`" in problems(store)[0]
    with pytest.raises(ModelError, match="cannot be read"):
        store.path("mine")
    assert store.path("yours").exists()
    store.remove("mine")
    await drain(store.add(tmp_path / "mine.gguf"))
    assert problems(store) == ["", ""]


async def test_a_file_that_went_away_is_said(store: Store, tmp_path: Path) -> None:
    (tmp_path / "mine.gguf").write_bytes(gguf(99))
    await drain(store.add(tmp_path / "mine.gguf"))
    (tmp_path / "mine.gguf").unlink()
    assert "is gone from" in problems(store)[0]
    with pytest.raises(ModelError, match="bring it back, or run `chatapp models rm mine`"):
        store.path("mine")


async def test_verify_finds_a_flipped_bit_that_left_no_trace(store: Store) -> None:
    steps = await drain(store.pull("beta"))
    blob = store.path("beta")
    assert [step.done for step in await drain(store.verify("beta"))] == [60_000]
    before = blob.stat()
    data = bytearray(BETA)
    data[30_000] ^= 1
    blob.write_bytes(data)
    os.utime(blob, ns=(before.st_atime_ns, before.st_mtime_ns))
    store.check(blob)
    with pytest.raises(ModelError, match="The file of beta is damaged: run `chatapp models rm beta`, then"):
        await drain(store.verify("beta"))
    assert steps


async def test_check_reads_a_changed_file_again_and_remembers(store: Store) -> None:
    await drain(store.pull("beta"))
    blob = store.path("beta")
    os.utime(blob, ns=(1, 1))
    store.check(blob)
    assert '"mtime_ns": 1' in (store.root / "names" / "beta.json").read_text()
    blob.write_bytes(BETA[:-1])
    with pytest.raises(ModelError, match="The file of beta is damaged"):
        store.check(blob)


async def test_check_of_a_file_added_and_then_replaced(store: Store, tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(gguf(99))
    await drain(store.add(mine))
    mine.write_bytes(gguf(101))
    with pytest.raises(ModelError, match="has changed since it was added: if you meant that"):
        store.check(mine)


def test_check_of_a_file_used_by_path(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "by-path.gguf"
    file.write_bytes(gguf(99))
    store.check(file)
    assert list((store.root / "seen").iterdir()) == []
    file.write_bytes(ALPHA)
    store.check(file)
    assert len(list((store.root / "seen").iterdir())) == 1
    before = file.stat()
    file.write_bytes(bytes(ALPHA[:8]) + bytes(len(ALPHA) - 8))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    store.check(file)
    os.utime(file, ns=(5, 5))
    with pytest.raises(ModelError, match="is damaged: it has the size of alpha-1b"):
        store.check(file)
