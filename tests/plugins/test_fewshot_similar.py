"""Examples like the message: by meaning where there is an embedder, by spelling where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chatapp import Notice, Progress, Session
from chatapp.testing import RecordingUI, script, sent_texts
from chatapp_fewshot.lexical import bm25
from tests.plugins.support_fewshot import FEW, Embedding, put_set, shot_session
from tests.support_plugins import run, send, told


def examples(session: Session) -> list[str]:
    """The inputs of the examples right before the newest message."""
    messages = script(session).requests[-1].messages
    return [text for role, text in sent_texts(messages)[1:-1] if role == "user"]


def cache(folder: Path) -> list[Path]:
    """The files in the cache."""
    return list((folder / "cache" / "fewshot").glob("*"))


async def test_the_nearest_stand_last(tmp_path: Path) -> None:
    embedding = Embedding()
    async with shot_session(tmp_path, embedding) as session:
        events = await run(session, "/shots few similar 3")
        assert [event.label for event in events if isinstance(event, Progress)] == ["Comparing the examples of few"]
        assert session.status == {"fewshot": "few similar 3"}
        await send(session, "password and money")
        # All three are as near; the first of the set stands last, next to the message.
        assert examples(session) == [FEW[3][0], FEW[2][0], FEW[0][0]]
        await send(session, "parcel")
        # They are not kept in the conversation: only those for the newest message stand before it.
        assert examples(session)[0] == "password and money"
        assert set(examples(session)[-2:]) == {"The parcel is late", "A parcel for my neighbour came"}
        assert session.turn is not None
        assert [piece.title for piece in session.turn.sent][-2:] == ["Examples: few (3 of 5)", "User"]
        assert embedding.opened == 1


async def test_vectors_are_kept_by_content(tmp_path: Path) -> None:
    inputs = [question for question, _ in FEW]
    async with shot_session(tmp_path, Embedding()) as session:
        await run(session, "/shots few similar")
    first = Embedding()
    async with shot_session(tmp_path, first) as session:
        await run(session, "/shots few similar")
        assert first.toy.asked == []
        put_set(tmp_path, "few", [("A new parcel", "K9"), *FEW[1:]])
        await send(session, "Hi")
        assert first.toy.asked == ["A new parcel", "Hi"]
        await send(session, "Ho")
        assert first.toy.asked[2:] == ["Ho"]
    (file,) = cache(tmp_path)
    assert file.stat().st_mode & 0o777 == 0o600
    assert len(json.loads(file.read_text())) == len(inputs)


@pytest.mark.parametrize("damage", ["", "[]", "{", '{"a": 3}', '{"a": "!!"}', "null", "[" * 100_000, "\xff"])
async def test_a_damaged_cache_is_made_anew(tmp_path: Path, damage: str) -> None:
    async with shot_session(tmp_path, Embedding()) as session:
        await run(session, "/shots few similar")
    (file,) = cache(tmp_path)
    good = file.read_text()
    file.write_bytes(damage.encode("latin-1"))
    again = Embedding()
    async with shot_session(tmp_path, again) as session:
        await run(session, "/shots few similar")
        assert len(again.toy.asked) == len(FEW)
    assert file.read_text() == good


async def test_rows_cut_short_are_made_anew(tmp_path: Path) -> None:
    async with shot_session(tmp_path, Embedding()) as session:
        await run(session, "/shots few similar")
    (file,) = cache(tmp_path)
    rows = json.loads(file.read_text())
    file.write_text(json.dumps({key: row[: 4 * number] for number, (key, row) in enumerate(rows.items())}))
    again = Embedding()
    async with shot_session(tmp_path, again) as session:
        await run(session, "/shots few similar")
        assert again.toy.asked != []
        await send(session, "parcel")
        assert told(session.host) == ""


async def test_without_an_embedder_spelling_serves(tmp_path: Path) -> None:
    embedding = Embedding("sentence-transformers is not installed.")
    async with shot_session(tmp_path, embedding) as session:
        events = await run(session, "/shots few similar 2")
        assert [event.text for event in events if isinstance(event, Notice)] == [
            "Examples are compared by spelling, not by meaning: sentence-transformers is not installed."
        ]
        await send(session, "the neighbour has a parcel")
        assert examples(session) == ["The parcel is late", "A parcel for my neighbour came"]
        await send(session, "my password")
        assert examples(session)[-1] == "I forgot my password"
        # It is not tried again every turn, nor told again.
        assert embedding.opened == 1
        assert told(session.host) == ""
        embedding.problem = ""
        await run(session, "/shots few similar 2")
        assert embedding.opened == 2
        await send(session, "the money")
        assert embedding.toy.asked[-1] == "the money"


async def test_an_opened_conversation_tells_it_once(tmp_path: Path) -> None:
    async with shot_session(tmp_path) as session:
        session.values["fewshot"] = {"name": "few", "how": "similar", "count": 1}
        await send(session, "my password")
        await send(session, "my password")
        assert examples(session)[-1] == "I forgot my password"
        ui = session.host.ui
        assert isinstance(ui, RecordingUI)
        assert [text.partition(":")[0] for _, text in ui.notices] == [
            "Examples are compared by spelling, not by meaning"
        ]


async def test_an_embedder_that_fails_in_between(tmp_path: Path) -> None:
    embedding = Embedding()
    async with shot_session(tmp_path, embedding) as session:
        await run(session, "/shots few similar 1")
        embedding.toy.failing = "The embeddings process was ended by SIGKILL."
        await send(session, "my password")
        assert examples(session) == ["I forgot my password"]
        assert told(session.host).count("This message is compared by spelling: The embeddings process") == 1
        embedding.toy.failing = ""
        await send(session, "parcel")
        assert embedding.toy.asked[-1] == "parcel"


def test_rare_words_count_for_more_and_length_for_less() -> None:
    texts = ["the parcel", "the the the", "the invoice " + "and more " * 20, "an invoice"]
    parcel, the, long, invoice = bm25(texts, "The INVOICE?")
    assert invoice > parcel > 0
    assert the > parcel
    assert 0 < long < invoice
    assert bm25(texts, "invoice")[3] > bm25(texts, "invoice")[2] > bm25(texts, "invoice")[0] == 0
    assert bm25(texts, "zzz") == [0.0] * 4
    assert bm25([], "a") == []
    assert bm25(["", ""], "a") == [0.0, 0.0]
