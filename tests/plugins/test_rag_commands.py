"""The commands about documents, as a user gives them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_asyncio

from chatapp import Data, Host, Session, UsageError
from chatapp.testing import RecordingUI, script
from tests.plugins.rag_support import BagEmbedder, collection, documents, fresh, run, shelf, written

pytestmark = pytest.mark.asyncio(loop_scope="module")
FILES = {
    "rivers.md": "# Rivers\n\nThe river Tagus flows through Lisbon.",
    "cats.txt": "Cats sleep sixteen hours a day.",
}


@pytest_asyncio.fixture(loop_scope="module")
async def session(documents_host: Host, embedder: BagEmbedder) -> Session:
    """A session without documents."""
    return await fresh(documents_host, embedder)


async def data(session: Session, line: str) -> Data:
    """The Data that an action shows last."""
    return [event async for event in session.run(line) if isinstance(event, Data)][-1]


async def until(true: Callable[[], bool]) -> None:
    """Wait for something that comes by itself."""
    for _ in range(1200):
        if true():
            return
        await asyncio.sleep(0.05)
    pytest.fail("It did not come within a minute.")


async def test_list_shows_collections_and_files(session: Session, tmp_path: Path) -> None:
    folder = written(tmp_path / "docs", {**FILES, "empty.txt": ""})
    await run(session, f"/rag add {folder}")
    await run(session, f'/rag add --collection "other things" {folder / "cats.txt"}')
    listed = (await data(session, "/rag list")).value
    assert [(row["name"], row["files"], row["without text"]) for row in listed] == [
        ("documents", 2, 1), ("other things", 1, 0),
    ]  # fmt: skip
    files = (await data(session, "/rag list documents")).value
    assert {Path(row["file"]).name: bool(row["problem"]) for row in files} == {
        "cats.txt": False, "empty.txt": True, "rivers.md": False,
    }  # fmt: skip


async def test_search_shows_passages_with_place_and_similarity(session: Session, tmp_path: Path) -> None:
    await run(session, f"/rag add {written(tmp_path / 'docs', FILES)}")
    found = (await data(session, "/rag search the river Tagus")).value
    first = found["passages"][0]
    assert (Path(first["file"]).name, first["where"], found["relevant"]) == ("rivers.md", "lines 1-3", True)
    assert first["similarity"] == pytest.approx(found["best"], abs=0.001)
    nothing = (await data(session, "/rag search Fidelio")).value
    assert (nothing["relevant"], nothing["threshold"]) == (False, 0.3)
    assert session.host.actions["rag search"].tool


async def test_files_are_taken_out_and_put_back_without_embedding(
    session: Session, embedder: BagEmbedder, tmp_path: Path
) -> None:
    folder = written(tmp_path / "docs", FILES)
    await run(session, f"/rag add {folder}")
    count = len(embedder.embedded)
    await run(session, f"/rag rm {folder / 'cats.txt'}")
    assert not [
        row for row in (await data(session, "/rag search cats sleep")).value["passages"] if "cats" in row["file"]
    ]
    assert (folder / "cats.txt").exists()
    await run(session, f"/rag add {folder}")
    assert len(embedder.embedded) == count
    assert "cats" in (await data(session, "/rag search cats sleep")).value["passages"][0]["file"]


async def test_a_removed_collection_comes_back_until_it_is_purged(session: Session, tmp_path: Path) -> None:
    await run(session, f"/rag add {written(tmp_path / 'docs', FILES)}")
    await run(session, "/rag rm documents")
    with pytest.raises(UsageError, match="no documents yet"):
        await run(session, "/rag search cats")
    await run(session, "/rag restore documents")
    assert (await data(session, "/rag search cats sleep")).value["passages"]
    await run(session, "/rag rm documents")
    assert "1 removed" in await run(session, "/rag purge")
    with pytest.raises(UsageError, match="No removed collection"):
        await run(session, "/rag restore documents")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/rag add", "Name a file or a folder"),
        ("/rag add nowhere", "There is no file or folder .*nowhere"),
        ("/rag on", "no documents yet"),
        ("/rag off", "No documents are on"),
        ("/rag rm", "Name a collection"),
        ("/rag watch", "no documents yet"),
        ("/rag search x", "no documents yet"),
    ],
)
async def test_what_cannot_be_is_one_sentence(session: Session, line: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        await run(session, line)


async def test_wrong_names(session: Session, tmp_path: Path) -> None:
    folder = written(tmp_path / "docs", FILES)
    await run(session, f"/rag add {folder}")
    with pytest.raises(UsageError, match="did you mean 'documents'"):
        await run(session, "/rag on document")
    with pytest.raises(UsageError, match=r"cannot be called '\.\./x'"):
        await run(session, f"/rag add --collection ../x {folder}")
    with pytest.raises(UsageError, match="neither a collection"):
        await run(session, "/rag rm never")


async def test_verify_sees_files_that_changed(session: Session, tmp_path: Path) -> None:
    folder = written(tmp_path / "docs", FILES)
    await run(session, f"/rag add {folder}")
    rows = {row["what"]: row for row in (await data(session, "/rag verify")).value}
    assert {name: row["state"] for name, row in rows.items()} == dict.fromkeys(
        ["files", "vectors", "words", "search", "disk"], "well"
    )
    (folder / "cats.txt").write_text("They changed.")
    (folder / "rivers.md").unlink()
    rows = {row["what"]: row for row in (await data(session, "/rag verify")).value}
    assert rows["disk"]["state"] == "old"
    assert "2 files" in rows["disk"]["seen"]


async def test_watching_follows_the_files(session: Session, tmp_path: Path) -> None:
    folder = written(tmp_path / "docs", FILES)
    await run(session, f"/rag add {folder}")
    assert "are read from now on" in await run(session, "/rag watch")
    ui = session.ui
    assert isinstance(ui, RecordingUI)
    # The watcher has no sign that it began; what is written before that is found by the first change after it.
    for number in range(200):
        written(folder, {f"dogs{number}.txt": f"Dogs {number} bark at the postman."})
        await asyncio.sleep(0.2)
        if any("new" in text for _, text in ui.notices):
            break
    await until(lambda: any("new" in text for _, text in ui.notices))
    assert (await data(session, "/rag search dogs bark at the postman")).value["relevant"]
    assert "no longer" in await run(session, "/rag watch")
    assert "watching" not in session.status


async def test_a_language_of_their_own(session: Session, tmp_path: Path) -> None:
    text = (
        "O aluno deve fazer os registros de matrícula na secretaria da universidade federal. O calendário do próximo "
        "semestre será publicado em julho, e as aulas começam na primeira semana de agosto para todos os cursos."
    )
    files = {"a.txt": text}
    await run(session, f"/rag add {written(tmp_path / 'docs', files)}")
    assert (await collection(session)).language == "pt"
    await run(session, "/rag add --language en")
    assert (await collection(session)).language == "en"


async def test_another_model_than_the_collection_was_made_with(tmp_path: Path) -> None:
    folder = written(tmp_path / "docs", FILES)
    async with documents(tmp_path) as session:
        await run(session, f"/rag add {folder}")
    async with documents(tmp_path, embedder=BagEmbedder("other")) as session:
        script(session).says("Never.")
        with pytest.raises(Exception, match="was made with the embedding model bag"):
            await run(session, "/rag on")


async def test_a_default_collection_is_on_in_new_conversations(tmp_path: Path) -> None:
    folder = written(tmp_path / "docs", FILES)
    async with documents(tmp_path) as session:
        await run(session, f"/rag add {folder}")
    async with documents(tmp_path, default="documents") as session:
        script(session).says("Through Lisbon [1].")
        async for _ in session.send("Through what does the river Tagus flow?"):
            pass
        assert len(list(session.conversation.path())[-1].parts) == 2
        await run(session, "/rag off")
        script(session).says("No idea.")
        async for _ in session.send("Through what does the river Tagus flow?"):
            pass
        assert list(session.conversation.path())[-1].text == "No idea."


async def test_a_damaged_collection_is_listed_and_can_be_removed(tmp_path: Path) -> None:
    folder = written(tmp_path / "docs", FILES)
    async with documents(tmp_path) as session:
        await run(session, f"/rag add {folder}")
        await run(session, f"/rag add --collection other {folder}")
        hurt = await collection(session, "other")
        store = shelf(session).store
        shutil.rmtree(Path(store.uri) / f"{hurt.id}-files.lance")
        await store.close()
    async with documents(tmp_path) as session:
        rows = {row["name"]: row for row in (await data(session, "/rag list")).value}
        assert (rows["other"]["state"], rows["documents"]["files"]) == ("damaged", 2)
        await run(session, "/rag rm other")
        assert "1 removed" in await run(session, "/rag purge")
        assert [row["name"] for row in (await data(session, "/rag list")).value] == ["documents"]
