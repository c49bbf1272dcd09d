"""Measuring what examples are worth: the same rows each time, resumed, and scored without mercy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatapp import Data, EngineError, Event, Notice, Progress, Session, TextDelta, UsageError
from chatapp.testing import script, sent_texts
from chatapp_fewshot.scoring import normal
from tests.plugins.support_fewshot import Embedding, put_set, shot_session
from tests.support_plugins import run

PAIRS = [(f"{word} number {n}", code) for word, code in (("money", "B4"), ("parcel", "K9")) for n in range(10)]


def table(events: list[Event]) -> list[dict[str, Any]]:
    """The rows of the table that is shown at the end."""
    assert isinstance(events[-1], Data)
    value: list[dict[str, Any]] = events[-1].value
    return value


async def test_each_k_is_asked_about_the_same_rows(tmp_path: Path) -> None:
    put_set(tmp_path, "sorted", PAIRS, "Sort it.")
    async with shot_session(tmp_path, Embedding()) as session:
        script(session).says(*["B4"] * 8, *["b4."] * 4, *["K9, since"] * 4, *["K9"] * 8)
        events = await run(session, "/eval fewshot sorted --k 0,2,similar")
        requests = [sent_texts(request.messages) for request in script(session).requests]
        assert len(requests) == 24
        asked = [prompt[-1] for prompt in requests]
        assert asked[:8] == asked[8:16] == asked[16:]
        assert [len(prompt) for prompt in requests] == [2] * 8 + [6] * 8 + [12] * 8
        assert {prompt[0] for prompt in requests} == {("system", "Sort it.")}
        shown = {text for prompt in requests for role, text in prompt[1:-1] if role == "user"}
        assert not shown & {text for _, text in asked}
        sampling = script(session).requests[0].sampling
        assert (sampling.temperature, sampling.max_tokens) == (0.0, 5)
        none, two, similar = table(events)
        assert [(each["k"], each["right"], each["total"]) for each in (none, two)] == [("0", 4, 8), ("2", 2, 8)]
        assert (similar["shown"], similar["right"]) == ("similar, by meaning", 4)
        assert none["low"] < 0.5 < none["high"]
        assert two["tokens"] > none["tokens"]
        assert isinstance(events[-1], Data)
        assert "50.0 %" in events[-1].text
        progress = [event for event in events if isinstance(event, Progress) and event.unit == "rows"]
        assert [(each.label, each.done, each.total) for each in progress][:2] == [
            ("sorted, 0 examples", 0, 8),
            ("sorted, 0 examples", 1, 8),
        ]


async def test_a_run_that_broke_off_goes_on(tmp_path: Path) -> None:
    put_set(tmp_path, "sorted", PAIRS)
    out = tmp_path / "rows.jsonl"
    async with shot_session(tmp_path) as session:
        script(session).says(*["B4"] * 3, [TextDelta("B"), EngineError("The engine is gone.")])
        with pytest.raises(EngineError, match=r"The engine is gone\."):
            await run(session, f"/eval fewshot sorted --k 1 --out {out}")
        assert len(out.read_text().splitlines()) == 4
        script(session).says(*["B4"] * 5)
        assert table(await run(session, f"/eval fewshot sorted --k 1 --out {out}"))[0]["total"] == 8
        assert len(script(session).requests) == 4 + 5
        # Another k and a limit go on with the same file; nothing that is done is asked again.
        script(session).says(*["B4"] * 2)
        rows = table(await run(session, f"/eval fewshot sorted --k 0,1 --limit 2 --out {out}"))
        assert [row["total"] for row in rows] == [2, 2]
        assert len(script(session).requests) == 9 + 2
        kept = [json.loads(line) for line in out.read_text().splitlines()]
        assert {row["said"] for row in kept[1:]} == {"B4"}
        # A changed set is another evaluation.
        put_set(tmp_path, "sorted", [*PAIRS, ("new", "B4")])
        await run(session, f"/eval fewshot sorted --k 1 --limit 1 --out {out}")
        assert len(out.read_text().splitlines()) == 2


async def test_without_an_embedder_it_says_how_it_compared(tmp_path: Path) -> None:
    put_set(tmp_path, "sorted", PAIRS)
    async with shot_session(tmp_path) as session:
        events = await run(session, "/eval fewshot sorted --k similar --limit 3")
        assert sum(isinstance(event, Notice) for event in events) == 1
        assert table(events)[0]["shown"] == "similar, by spelling"
        assert list((tmp_path / "data" / "evaluations").glob("fewshot-sorted-*.jsonl"))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("nothing", "There is no example set 'nothing'"),
        ("sorted --k 1,many", "'many' is no number of examples"),
        ("sorted --k 13", "say `similar` or 0 to 12"),
        ("sorted --k ,", "Say how many examples to show"),
        ("two", "an evaluation needs five at least"),
    ],
)
async def test_what_cannot_be_evaluated(tmp_path: Path, line: str, reason: str) -> None:
    put_set(tmp_path, "sorted", PAIRS)
    put_set(tmp_path, "two", PAIRS[:2])
    async with shot_session(tmp_path) as session:
        with pytest.raises(UsageError, match=reason):
            await run(session, f"/eval fewshot {line}")


@pytest.mark.parametrize(
    ("said", "same"),
    [("B4", True), (" b4.\n", True), ("**B4**", True), ('"B4"', True), ("B4 or K9", False), ("Queue: B4", False)],
)
def test_only_what_does_not_count_is_passed_over(said: str, same: bool) -> None:
    assert (normal(said) == normal("B4")) is same


async def test_an_answer_of_several_words(tmp_path: Path) -> None:
    put_set(tmp_path, "long", [(f"q{n}", f"the answer is  {n}") for n in range(10)])
    async with shot_session(tmp_path) as session:
        script(session).says("The answer\nis 3!")
        await _one(session)
        assert script(session).requests[0].sampling.max_tokens == 8


async def _one(session: Session) -> None:
    await run(session, "/eval fewshot long --k 0 --limit 1")
