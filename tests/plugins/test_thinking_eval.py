"""`chatapp eval gsm8k`: what is asked, what counts as right, going on after a stop, rows that are none."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chatapp import Data, EngineError, Notice, Progress, Session, UsageError, chat_text
from chatapp.testing import script
from chatapp_thinking.evaluate import DIRECT, load
from chatapp_thinking.plan import STEPS as REQUEST
from tests.support_plugins import refusal

from .thinking import say, thinking

ROWS = [
    {"question": "3 boxes of 4 balls. How many balls?", "answer": "3*4=<<3*4=12>>12\n#### 12"},
    {"question": "A car costs $1,000 and 200 more. What is it?", "answer": "1,000+200\n#### 1,200"},
    {"question": "Half of 5?", "answer": "#### 2.5"},
]
RIGHT = ["3 * 4 = 12\nFinal answer: 12", "Final answer: It costs $1,200.00 now.", "Final answer: 3"]


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[Session]:
    """A session with the plugin."""
    async with thinking(tmp_path) as made:
        yield made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Three problems."""
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    return path


async def result(session: Session, line: str) -> Data:
    """What an evaluation came to."""
    (found,) = [event for event in await say(session, line) if isinstance(event, Data)]
    return found


def kept(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of results."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()[1:]]


async def test_accuracy_of_thinking(session: Session, file: Path, tmp_path: Path) -> None:
    script(session).says(*RIGHT)
    found = await result(session, f"/eval gsm8k {file} --out {tmp_path}/out.jsonl")
    assert found.text.startswith("2 of 3 right: 66.7 % (95 % interval 20.8 to 93.9 %), 17 tokens, ")
    assert found.value["accuracy"] == pytest.approx(2 / 3)
    requests = script(session).requests
    assert [chat_text(each.messages[-1]) for each in requests] == [f"{REQUEST}\n\n{row['question']}" for row in ROWS]
    assert {each.sampling.temperature for each in requests} == {0.0}
    rows = kept(tmp_path / "out.jsonl")
    assert [(row["right"], row["expected"], row["got"]) for row in rows] == [
        (True, "12", "12"),
        (True, "1200", "1200"),
        (False, "2.5", "3"),
    ]
    assert rows[0]["reasoning"] == "3 * 4 = 12"
    assert len(session.conversation) == 0
    assert session.status == {}


async def test_direct_answers_are_asked_for_the_number_only(session: Session, file: Path) -> None:
    script(session).says("12", "1200", "2.5")
    found = await result(session, f"/eval gsm8k {file} --think off --limit 2 --skip 1")
    assert found.text.startswith("0 of 2 right")
    asked = [chat_text(each.messages[-1]) for each in script(session).requests]
    assert asked == [f"{DIRECT}\n\n{row['question']}" for row in ROWS[1:]]


async def test_votes_are_drawn_with_a_temperature(session: Session, file: Path) -> None:
    script(session).says("Final answer: 11", "Final answer: 12", "Final answer: 12")
    found = await result(session, f'/eval gsm8k {file} --think "vote 3" --limit 1')
    assert found.text.startswith("1 of 1 right")
    assert {each.sampling.temperature for each in script(session).requests} == {0.7}


async def test_a_run_goes_on_after_a_stop(session: Session, file: Path) -> None:
    script(session).says(*RIGHT)
    stream = session.run(f"/eval gsm8k {file}")
    async for event in stream:
        if isinstance(event, Progress) and event.done == 1:
            break
    await stream.aclose()
    assert len(script(session).requests) == 1
    events = await say(session, f"/eval gsm8k {file}")
    assert len(script(session).requests) == 3
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert notice.text.startswith("1 of 3 are answered already in ")
    assert [event for event in events if isinstance(event, Progress)] == [
        Progress("1 of 1 right", 1, 3, "questions"),
        Progress("2 of 2 right", 2, 3, "questions"),
    ]


async def test_other_settings_begin_anew_in_a_file_of_their_own(session: Session, file: Path) -> None:
    for how in ("on", "off", '"vote 3"'):
        await say(session, f"/eval gsm8k {file} --limit 1 --think {how}")
    made = sorted(path.name for path in (session.host.paths.data / "evaluations").iterdir())
    assert made == [f"gsm8k-scripted-{how}.jsonl" for how in ("off", "think", "vote-3")]


async def test_an_engine_that_fails_ends_it(session: Session, file: Path) -> None:
    script(session).says([EngineError("The engine broke.")])
    with pytest.raises(EngineError, match="The engine broke"):
        await say(session, f"/eval gsm8k {file}")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("{broken", "line 2: this is no JSON"),
        ("[1]", 'line 2: a row has to be an object with the texts "question" and "answer".'),
        ('{"question": 3, "answer": "#### 3"}', "line 2: a row has to be an object"),
        ('{"question": "Why?", "answer": "3"}', 'line 2: the answer has to end in "#### " and one number.'),
        ('{"question": "Why?", "answer": "#### none"}', "line 2: the answer has to end in"),
    ],
)
def test_a_row_that_is_none_is_named(tmp_path: Path, line: str, sentence: str) -> None:
    path = tmp_path / "rows.jsonl"
    said = refusal(load, path, json.dumps(ROWS[0]), line)
    assert sentence in said
    assert str(path) in said


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load(tmp_path / "none.jsonl")
    (tmp_path / "empty.jsonl").write_text("\n\n")
    with pytest.raises(UsageError, match="has no questions there; it has 0 in all"):
        load(tmp_path / "empty.jsonl")


async def test_a_way_to_think_that_is_none(session: Session, file: Path) -> None:
    with pytest.raises(UsageError, match="'hard' is no way to think"):
        await say(session, f"/eval gsm8k {file} --think hard")
