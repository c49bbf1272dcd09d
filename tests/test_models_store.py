"""The store: names, files used in place, the trash. Downloads are in test_models_pull, damage in _integrity."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from chatapp.errors import ModelError
from chatapp.models import Installed, Store, open_store
from chatapp.paths import paths
from tests.support_models import ALPHA, BETA, drain, entry, gguf, sha256, toy_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store that knows three toy models."""
    return toy_store(tmp_path)


def names(store: Store) -> list[str]:
    return [one.name for one in store.list()]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_all_folders_are_private(store: Store) -> None:
    folders = [store.root, *(path for path in store.root.iterdir() if path.is_dir())]
    assert len(folders) == 7
    assert {folder.stat().st_mode & 0o777 for folder in folders} == {0o700}


async def test_a_model_by_name_beginning_and_path(store: Store) -> None:
    await drain(store.pull("alpha-1b"))
    blob = store.root / "blobs" / f"sha256-{sha256(ALPHA)}"
    assert store.path("alpha-1b") == store.path("ALPHA-1B ") == store.path("alpha") == store.path(str(blob)) == blob
    assert blob.read_bytes() == ALPHA
    assert [(one.name, one.size, one.in_place, one.problem) for one in store.list()] == [
        ("alpha-1b", 50_000, False, "")
    ]


def test_a_relative_path_needs_no_name(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert store.path("./alpha.bin") == tmp_path / "alpha.bin"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("beta", "beta is not downloaded: run `chatapp models pull beta`."),
        ("bet", "beta is not downloaded: run `chatapp models pull beta`."),
        ("alpha", "alpha could be alpha-1b, alpha-2b: write more of the name."),
        ("alhpa-1b", "There is no model called alhpa-1b: did you mean alpha-1b?"),
        ("zzz", "There is no model called zzz: `chatapp models list` shows what there is."),
        ("", "There is no model called : `chatapp models list` shows what there is."),
        ("missing.gguf", "There is no file {here}/missing.gguf: check the path."),
    ],
)
def test_a_name_that_is_not_there(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError) as caught:
        store.path(name)
    assert str(caught.value) == sentence.format(here=tmp_path)


async def test_a_file_is_used_in_place(store: Store, tmp_path: Path) -> None:
    mine = tmp_path / "My Own Model.Q4_K_M.gguf"
    mine.write_bytes(gguf(1234))
    steps = await drain(store.add(mine))
    assert (steps[-1].label, steps[-1].done) == ("my-own-model.q4_k_m is ready", 1234)
    assert store.path("my-own") == mine
    installed = store.list()[0]
    assert (installed.in_place, installed.entry, installed.sha256) == (True, None, sha256(mine.read_bytes()))
    assert list((store.root / "blobs").iterdir()) == []


async def test_a_file_that_the_catalogue_knows_gets_its_name(store: Store, tmp_path: Path) -> None:
    await drain(store.add(tmp_path / "alpha.bin"))
    assert store.path("alpha-1b") == tmp_path / "alpha.bin"
    assert store.list()[0].entry == store.catalogue["alpha-1b"]
    assert store.info("alpha-1b").assurance == "Its SHA-256 is the publisher's own, from the catalogue."


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty: download it again"),
        (b"Once upon a time", r"is not a GGUF model \(it looks like text\)"),
        (b"PK\x03\x04\x00\x00\x00\x00", r"is not a GGUF model \(it is a ZIP archive\)"),
        (b"version https://git-lfs", r"is not a GGUF model \(it is a Git LFS pointer, not the file itself\)"),
        (bytes(100), r"is not a GGUF model \(it does not start with the letters GGUF\)"),
        (b"GGUF\x03", "ends after 5 bytes: download it again"),
    ],
)
async def test_what_is_no_gguf_is_refused(store: Store, tmp_path: Path, content: bytes, complaint: str) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ModelError, match=complaint):
        await drain(store.add(tmp_path / "file"))
    assert store.list() == []


async def test_a_missing_file_and_a_folder_are_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no file"):
        await drain(store.add(tmp_path / "none.gguf"))
    with pytest.raises(ModelError, match="is a folder: name the GGUF file in it"):
        await drain(store.add(tmp_path))


async def test_a_damaged_catalogue_file_is_refused_unless_the_user_insists(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "other.gguf"
    file.write_bytes(ALPHA[:-1] + bytes([ALPHA[-1] ^ 1]))
    with pytest.raises(ModelError, match="is damaged: it has the size of alpha-1b to the byte but not its SHA-256"):
        await drain(store.add(file))
    await drain(store.add(file, anyway=True))
    assert store.path("other") == file


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("beta", "The name beta belongs to another model"), ("no/slash", "cannot be a model's name"), ("Ä", "cannot be")],
)
async def test_names_that_cannot_be_given(store: Store, tmp_path: Path, name: str, complaint: str) -> None:
    (tmp_path / "mine.gguf").write_bytes(gguf(99))
    with pytest.raises(ModelError, match=complaint):
        await drain(store.add(tmp_path / "mine.gguf", name))


async def test_one_name_cannot_mean_two_files_but_a_file_can_be_added_again(store: Store, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.gguf").write_bytes(gguf(99))
    await drain(store.add(tmp_path / "one" / "mine.gguf"))
    await drain(store.add(tmp_path / "one" / "mine.gguf"))
    with pytest.raises(ModelError, match="There is already a model called mine"):
        await drain(store.add(tmp_path / "two" / "mine.gguf"))
    await drain(store.add(tmp_path / "two" / "mine.gguf", "mine-too"))
    assert names(store) == ["mine", "mine-too"]


async def test_removing_and_restoring(store: Store) -> None:
    await drain(store.pull("beta"))
    removed = store.remove("bet")
    assert (removed.name, removed.freed, removed.in_place) == ("beta", 60_000, False)
    assert store.list() == []
    assert not removed.path.exists()
    assert store.restore().name == "beta"
    assert store.path("beta").read_bytes() == BETA
    with pytest.raises(ModelError, match="There is no model in the trash"):
        store.restore()


async def test_the_last_removed_comes_back_first_or_the_one_that_is_named(store: Store) -> None:
    for name in ("alpha-1b", "beta"):
        await drain(store.pull(name))
        store.remove(name)
    assert store.restore("alpha-1b").name == "alpha-1b"
    assert store.restore().name == "beta"


async def test_the_trash_spares_a_second_download(store: Store, tmp_path: Path) -> None:
    await drain(store.pull("beta"))
    store.remove("beta")
    (tmp_path / "beta.bin").unlink()
    await drain(store.pull("beta"))
    assert store.path("beta").read_bytes() == BETA
    with pytest.raises(ModelError, match="There is a model called beta again"):
        store.restore("beta")


async def test_purging_is_final(store: Store) -> None:
    await drain(store.pull("beta"))
    store.remove("beta")
    assert store.purge() >= 60_000
    assert list((store.root / "trash").iterdir()) == []
    with pytest.raises(ModelError, match="There is no beta in the trash"):
        store.restore("beta")


async def test_removing_a_file_in_place_leaves_the_file(store: Store, tmp_path: Path) -> None:
    mine = tmp_path / "mine.gguf"
    mine.write_bytes(gguf(99))
    await drain(store.add(mine))
    assert store.remove("mine").freed == 0
    assert mine.exists()
    assert store.restore("mine").path == mine
    store.remove("mine")
    mine.unlink()
    with pytest.raises(ModelError, match="The file of mine is gone"):
        store.restore("mine")


def test_removing_what_is_not_there(store: Store) -> None:
    with pytest.raises(ModelError, match="beta is not on this machine"):
        store.remove("beta")


def test_info_of_what_is_not_downloaded(store: Store) -> None:
    details = store.info("beta")
    assert (details.name, details.entry, details.installed) == ("beta", store.catalogue["beta"], None)
    assert "publisher's own" in details.assurance


async def test_info_says_what_is_unverified(tmp_path: Path) -> None:
    store = Store(tmp_path / "models", catalogue={"gamma": entry("gamma", ALPHA, sha=None)})
    assert store.info("gamma").assurance == "Its SHA-256 is unverified by us: the one the hub states is used."
    (tmp_path / "mine.gguf").write_bytes(gguf(99))
    await drain(store.add(tmp_path / "mine.gguf"))
    details = store.info("mine")
    assert isinstance(details.installed, Installed)
    assert details.assurance == "Its SHA-256 is the one computed when it was added, unverified by us."


def test_a_whole_store_can_be_moved(store: Store, tmp_path: Path) -> None:
    asyncio.run(drain(store.pull("beta")))
    moved = store.root.rename(tmp_path / "elsewhere")
    assert Store(moved, catalogue=store.catalogue).path("beta").read_bytes() == BETA


def test_opening_the_users_store(tmp_path: Path) -> None:
    where = paths({"CHATAPP_HOME": str(tmp_path)}).ensure()
    (where.config / "models.toml").write_text('[[model]]\nname = "mine"\nfile = "mine.gguf"\nsize = 9\n')
    store = open_store(where, offline=True)
    assert (store.root, store.offline) == (tmp_path / "data" / "models", True)
    assert store.info("mine").entry is not None
