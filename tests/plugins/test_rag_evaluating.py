"""How search and answers are measured: the layout of BEIR, the measures, and the two evaluations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from chatapp import Data, EngineError, Event, Notice, Session, UsageError
from chatapp.testing import script
from chatapp_rag.evaluating import answers, beir
from chatapp_rag.prompting import NOT_FOUND
from tests.plugins.rag_support import documents, run, written

CORPUS = [
    {"_id": "d1", "title": "Tagus", "text": "The river flows through Lisbon."},
    {"_id": "d2", "title": "", "text": "Cats sleep sixteen hours a day."},
    {"_id": "d3", "text": "Dogs need a long walk each morning."},
]
QUERIES = [
    {"_id": "q1", "text": "hours that cats sleep"}, {"_id": "q2", "text": "walk of dogs"}, {"_id": "q3", "text": "x"},
]  # fmt: skip
QRELS = "query-id\tcorpus-id\tscore\nq1\td2\t1\nq2\td3\t2\nq2\td1\t0\nq9\td1\t1\n"


def lines(rows: Sequence[Any]) -> str:
    """Rows as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def layout(folder: Path, **changed: str) -> Path:
    """A small test collection on disk; `changed` are other texts for some of its files."""
    texts = {"corpus": lines(CORPUS), "queries": lines(QUERIES), "qrels": QRELS, **changed}
    files = {"corpus.jsonl": texts["corpus"], "queries.jsonl": texts["queries"], "qrels/test.tsv": texts["qrels"]}
    return written(folder, files)


async def events(session: Session, line: str) -> list[Event]:
    """Everything an action shows."""
    return [event async for event in session.run(line)]


async def value(session: Session, line: str) -> Any:
    """The value of the Data that an action ends with."""
    return [event for event in await events(session, line) if isinstance(event, Data)][-1].value


def test_the_layout_is_read(tmp_path: Path) -> None:
    data = beir.load(layout(tmp_path), "test")
    assert data.documents["d1"] == ("Tagus", "The river flows through Lisbon.")
    assert data.documents["d3"][0] == ""
    assert data.judged == {"q1": {"d2": 1}, "q2": {"d3": 2}}
    assert data.queries["q2"] == "walk of dogs"
    assert beir.splits(tmp_path) == ["test"]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"corpus": lines(CORPUS[:1]) + "{broken\n"}, r"corpus\.jsonl, line 2: this is no JSON"),
        ({"corpus": lines(CORPUS[:1]) + '\n["d2"]\n'}, r"corpus\.jsonl, line 3: a row has to be an object with _id"),
        ({"queries": '{"_id": "q1"}\n'}, r"queries\.jsonl, line 1: a row has to be an object with _id and text"),
        ({"qrels": "q1\td2\t1\nq2 d3 1\n"}, r"test\.tsv, line 2: a row is query, document and score"),
        ({"qrels": "query\tdocument\tscore\nq1\td2\thigh\n"}, r"test\.tsv, line 2"),
        ({"qrels": "nobody\td2\t1\n"}, r"No query of .*queries\.jsonl is judged in qrels/test\.tsv"),
    ],
)
def test_what_is_malformed_is_said_with_file_and_line(tmp_path: Path, changed: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        beir.load(layout(tmp_path, **changed), "test")


def test_the_measures_are_what_is_computed_by_hand() -> None:
    relevant = {"a": 2, "b": 1, "c": 1}
    assert beir.ndcg(["a", "b", "c"], relevant) == pytest.approx(1.0)
    # 1/log2(2) + 2/log2(4) = 2 of 2/log2(2) + 1/log2(3) + 1/log2(4) = 3.1309
    assert beir.ndcg(["b", "x", "a"], relevant) == pytest.approx(2 / 3.1309, abs=1e-4)
    # 1/log2(4) = 0.5 of 1
    assert beir.ndcg(["x", "y", "a"], {"a": 1}) == pytest.approx(0.5)
    assert beir.ndcg(["x", "a"], {"a": 1}, depth=1) == 0
    assert beir.ndcg([], relevant) == 0
    assert beir.recall(["b", "x", "a"], relevant) == pytest.approx(2 / 3)
    assert beir.recall(["b", "x", "a"], relevant, depth=2) == pytest.approx(1 / 3)


async def test_retrieval_is_measured_through_the_store(tmp_path: Path) -> None:
    folder = layout(tmp_path / "tiny")
    async with documents(tmp_path) as session:
        rows = await value(session, f"/eval retrieval {folder}")
        assert [row["search by"].split()[0] for row in rows] == ["words", "vectors", "both"]
        assert [(row["queries"], row["nDCG@10"], row["recall@10"]) for row in rows] == [(2, 1.0, 1.0)] * 3
        # Again: nothing is embedded anew, and fewer queries are asked.
        again = await value(session, f"/eval retrieval {folder} --limit 1")
        assert [row["queries"] for row in again] == [1, 1, 1]
        assert [row["name"] for row in await value(session, "/rag list")] == ["eval tiny"]
        with pytest.raises(UsageError, match=r"qrels/NAME\.tsv"):
            await events(session, f"/eval retrieval {written(tmp_path / 'none', {'corpus.jsonl': ''})}")


FILES = {"rivers.md": "The river Tagus flows through Lisbon.", "cats.txt": "Cats sleep sixteen hours a day."}
ASKED = [
    {"question": "Through what does the river Tagus flow?", "answers": ["Lisbon", "Lisboa"]},
    {"question": "How many hours a day do cats sleep?", "answer": "Sixteen"},
    {"question": "Who composed the opera Fidelio?", "answers": []},
]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no questions"),
        ('{"question": "a", "answers": ["b"]}\n{\n', "line 2: this is no JSON"),
        ('{"question": 1, "answers": []}', "line 1: a row has to be"),
        ('{"question": "a", "answers": [1]}', "line 1: a row has to be"),
        ("[]", "line 1: a row has to be"),
    ],
)
def test_a_file_of_questions_that_is_none_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        answers.load(written(tmp_path, {"q.jsonl": text}) / "q.jsonl", None)


def test_answers_are_compared_without_case_forms_and_marks() -> None:
    assert answers.plain("  Ｌisbon, PORTUGAL!\n") == answers.plain("lisbon portugal")
    assert answers.plain("$4,287.50") == answers.plain("4 287 50")


async def test_answers_are_measured(tmp_path: Path) -> None:
    written(tmp_path, {"q.jsonl": lines(ASKED)})
    async with documents(tmp_path) as session:
        await run(session, f"/rag add {written(tmp_path / 'docs', FILES)}")
        script(session).says("Through Lisbon [1].", "All day long [1].")
        shares = await value(session, f"/eval answers {tmp_path / 'q.jsonl'}")
        assert {name: (share["right"], share["total"]) for name, share in shares.items()} == {
            "retrieval hits": (2, 2), "answers match": (1, 2), "refusals right": (1, 1), "wrong refusals": (0, 2),
            "answers with citations": (2, 2), "citations contain the answer": (2, 2),
        }  # fmt: skip
        kept = [json.loads(line) for line in (await rows_file(session)).read_text().splitlines()[1:]]
        assert [row["match"] for row in kept] == [True, False, True]
        assert kept[2]["answer"].startswith(NOT_FOUND)


async def test_other_settings_or_rules_begin_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, {"q.jsonl": lines(ASKED[:1])})
    async with documents(tmp_path) as session:
        await run(session, f"/rag add {written(tmp_path / 'docs', FILES)}")
        for _ in range(2):
            await events(session, f"/eval answers {tmp_path / 'q.jsonl'}")
        assert len(script(session).requests) == 1
        monkeypatch.setattr(answers, "REMINDER", "Be brief.")
        await events(session, f"/eval answers {tmp_path / 'q.jsonl'}")
        assert len(script(session).requests) == 2


async def rows_file(session: Session) -> Path:
    """Where the answers are kept."""
    (path,) = (session.host.paths.data / "evaluations").glob("answers-q-*.jsonl")
    return path


async def test_an_interrupted_evaluation_goes_on(tmp_path: Path) -> None:
    written(tmp_path, {"q.jsonl": lines(ASKED)})
    async with documents(tmp_path) as session:
        await run(session, f"/rag add {written(tmp_path / 'docs', FILES)}")
        script(session).says("Through Lisbon [1].", [EngineError("The model went away.")])
        with pytest.raises(EngineError, match="went away"):
            await events(session, f"/eval answers {tmp_path / 'q.jsonl'}")
        script(session).says("Sixteen hours [1].")
        asked = len(script(session).requests)
        shown = await events(session, f"/eval answers {tmp_path / 'q.jsonl'}")
        assert any(isinstance(event, Notice) and event.text.startswith("1 of 3") for event in shown)
        assert len(script(session).requests) == asked + 1
        last = shown[-1]
        assert isinstance(last, Data)
        assert last.value["answers match"]["right"] == 2
