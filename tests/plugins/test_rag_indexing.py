"""Collections follow their files: what is new is embedded, what is not changed is left alone, nothing is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import textwrap
from contextlib import aclosing
from pathlib import Path

import pytest
import pytest_asyncio

from chatapp import EngineError, Host, Session, UsageError
from chatapp_rag.writing import BATCH
from tests.plugins.rag_support import BagEmbedder, collection, documents, fresh, run, shelf, written

pytestmark = pytest.mark.asyncio(loop_scope="module")
FILES = {
    "rivers.md": "# Rivers\n\nThe Tagus flows through Lisbon.\n\n# Bridges\n\nThe bridge is red.",
    "cats.txt": "Cats sleep sixteen hours a day.",
    "deep/er/dogs.txt": "Dogs need a walk each morning.",
}


@pytest_asyncio.fixture(loop_scope="module")
async def session(documents_host: Host, embedder: BagEmbedder) -> Session:
    """A session without documents."""
    return await fresh(documents_host, embedder)


async def texts(session: object, name: str = "") -> list[str]:
    """The texts of all chunks, sorted."""
    library = shelf(session)  # type: ignore[arg-type]
    found = await library.find(name)
    hits = [
        hit.text
        for entry in await library.store.entries(found)
        for hit in await library.store._call(library.store._reading, "around", found.id, entry.digest, 0, 10_000)
    ]
    return sorted(hits)


async def test_a_folder_is_added_and_only_what_changed_is_embedded_again(
    session: Session, embedder: BagEmbedder, tmp_path: Path
) -> None:
    folder = written(tmp_path / "docs", FILES)
    said = await run(session, f"/rag add {folder}")
    first = len(embedder.embedded)
    assert first >= 3
    await run(session, f"/rag add {folder}")
    assert len(embedder.embedded) == first
    (folder / "cats.txt").write_text("Cats sleep all day.")
    await run(session, "/rag add")
    assert embedder.embedded[first:] == ["Cats sleep all day."]
    assert any("Cats sleep all day." in text for text in await texts(session))
    assert not any("sixteen" in text for text in await texts(session))
    assert "documents" in said


async def test_moved_copied_and_touched_files_are_not_embedded_again_and_deleted_ones_go(
    session: Session, embedder: BagEmbedder, tmp_path: Path
) -> None:
    folder = written(tmp_path / "docs", FILES)
    await run(session, f"/rag add {folder}")
    first = len(embedder.embedded)
    (folder / "cats.txt").rename(folder / "moved.txt")
    (folder / "copy.txt").write_text("Cats sleep sixteen hours a day.")
    os.utime(folder / "deep/er/dogs.txt", ns=(1, 1))
    (folder / "rivers.md").unlink()
    await run(session, "/rag add")
    assert len(embedder.embedded) == first
    entries = {Path(entry.path).name for entry in await shelf(session).store.entries(await collection(session))}
    assert entries == {"moved.txt", "copy.txt", "dogs.txt"}
    found = await shelf(session).store.stats(await collection(session))
    assert (found.files, found.chunks) == (3, 2)
    assert not any("Tagus" in text for text in await texts(session))


async def test_files_without_text_are_listed_with_the_reason_and_the_others_are_there(
    session: Session, tmp_path: Path
) -> None:
    folder = written(tmp_path / "docs", {**FILES, "empty.txt": "", "fake.pdf": "%PDF-1.7 and then nothing"})
    await run(session, f"/rag add {folder}")
    listed = await run(session, "/rag list documents")
    stats = await shelf(session).store.stats(await collection(session))
    assert stats.files == 3
    assert {Path(path).name for path, _ in stats.reasons} == {"empty.txt", "fake.pdf"}
    assert all(reason for _, reason in stats.reasons)
    assert "empty.txt" in listed


async def test_cancelling_keeps_whole_files_and_the_next_run_does_the_rest(
    session: Session, embedder: BagEmbedder, tmp_path: Path
) -> None:
    folder = written(tmp_path / "docs", {f"{n:03}.txt": f"File {n} is about {n} things.\n" * 3 for n in range(600)})
    async with aclosing(session.run(f"/rag add {folder}")) as events:
        async for _ in events:
            if len(embedder.embedded) >= BATCH:
                break
    held = await shelf(session).store.entries(await collection(session))
    assert all(entry.chunks == 1 for entry in held)
    assert len(held) < 600
    await run(session, "/rag add")
    stats = await shelf(session).store.stats(await collection(session))
    assert (stats.files, stats.chunks) == (600, 600)
    assert len(embedder.embedded) <= 600 + BATCH


async def test_a_file_longer_than_a_batch_is_committed_whole(
    session: Session, embedder: BagEmbedder, tmp_path: Path
) -> None:
    long = "\n\n".join(
        f"Paragraph {n} says that {' '.join(f'word{n * 40 + k}' for k in range(40))}." for n in range(700)
    )
    folder = written(tmp_path / "docs", {"a.txt": "short", "long.txt": long, "z.txt": "the end"})
    await run(session, f"/rag add {folder}")
    assert len(embedder.embedded) > 2 * BATCH
    entries = {Path(e.path).name: e for e in await shelf(session).store.entries(await collection(session))}
    found = await shelf(session).store.stats(await collection(session))
    assert found.chunks == sum(entry.chunks for entry in entries.values()) == len(embedder.embedded)
    assert "well" in await run(session, "/rag verify")


async def test_an_embedder_that_fails_loses_nothing_that_was_committed(
    session: Session, embedder: BagEmbedder, tmp_path: Path
) -> None:
    folder = written(tmp_path / "docs", FILES)
    await run(session, f"/rag add {folder}")
    written(folder, {"new.txt": "Something new."})
    embedder.failures.append(EngineError("The embeddings process died."))
    with pytest.raises(EngineError, match="died"):
        await run(session, "/rag add")
    stats = await shelf(session).store.stats(await collection(session))
    assert stats.files == 3
    await run(session, "/rag add")
    assert (await shelf(session).store.stats(await collection(session))).files == 4


async def test_a_root_that_is_gone_loses_nothing(session: Session, tmp_path: Path) -> None:
    folder = written(tmp_path / "docs", FILES)
    await run(session, f"/rag add {folder}")
    folder.rename(tmp_path / "elsewhere")
    said = await run(session, "/rag add")
    assert "is not there" in said
    assert (await shelf(session).store.stats(await collection(session))).files == 3


async def test_two_writers_of_one_collection_do_not_mix(session: Session, tmp_path: Path) -> None:
    folder = written(tmp_path / "docs", FILES)
    await run(session, f"/rag add {folder}")
    lock = shelf(session).lock(await collection(session))
    assert lock.try_acquire()
    with pytest.raises(UsageError, match="another process"):
        await run(session, "/rag add")
    lock.release()
    await run(session, "/rag add")


KILLED = """
import asyncio, sys
from pathlib import Path
from tests.plugins.rag_support import documents, run
async def main():
    async with documents(Path(sys.argv[1])) as session:
        async for event in session.run(f"/rag add {sys.argv[2]}"):
            if getattr(event, "label", "").startswith("Indexing"):
                print(event.done, flush=True)
asyncio.run(main())
"""


async def test_killed_in_the_middle_it_goes_on_without_loss_or_duplicates(tmp_path: Path) -> None:
    folder = written(tmp_path / "docs", {f"{n:04}.txt": f"File {n} tells of {n} things." for n in range(800)})
    script = tmp_path / "killed.py"
    script.write_text(textwrap.dedent(KILLED))
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(tmp_path), str(folder),
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": f"{Path.cwd()}:{Path.cwd() / 'plugins'}"},
    )  # fmt: skip
    assert process.stdout is not None
    async for line in process.stdout:
        if float(line) >= 400:
            break
    process.send_signal(signal.SIGKILL)
    await process.wait()
    embedder = BagEmbedder()
    async with documents(tmp_path, embedder=embedder) as session:
        before = len(await shelf(session).store.entries(await collection(session)))
        assert 0 < before < 800
        await run(session, "/rag add")
        stats = await shelf(session).store.stats(await collection(session))
        assert (stats.files, stats.chunks) == (800, 800)
        assert len(embedder.embedded) <= 800 - before
        assert len(set(await texts(session))) == 800
        assert "WRONG" not in await run(session, "/rag verify")
