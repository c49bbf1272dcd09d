"""Teaching the gate, and measuring it: what is learnt is used while it fits, and a run goes on where it was."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chatapp import Data, Event, Session, UsageError
from chatapp.testing import script
from chatapp_experts.head import Head, load, place, softmax
from chatapp_experts.judging import CHECKS
from chatapp_experts.spelling import spelling
from chatapp_experts.vectors import dot
from tests.plugins.experts_support import COOK, FILES, NEITHER, SAIL, expert_session, laid, notices, put_messages
from tests.plugins.experts_support import put_expert as put
from tests.plugins.rag_support import BagEmbedder
from tests.support_plugins import run, send

TOPICS = {"cook": COOK, "sailor": SAIL, "none": NEITHER}
ROWS = [(f"{words} number {n}", name) for name, words in TOPICS.items() for n in range(9)]


@pytest.fixture
def embedder() -> BagEmbedder:
    """Counts what it is asked to embed."""
    return BagEmbedder()


@pytest.fixture
async def session(tmp_path: Path, embedder: BagEmbedder) -> AsyncIterator[Session]:
    """A session with the gate on."""
    async with expert_session(tmp_path, embedder=embedder, experts={"on": True}) as made:
        yield made


@pytest.fixture
def messages(tmp_path: Path) -> Path:
    """Nine messages for each of the user's experts, and nine for none."""
    return put_messages(tmp_path, ROWS)


def values(events: list[Event], name: str) -> list[Any]:
    """The values of the parts of that name."""
    return [event.value for event in events if isinstance(event, Data) and event.name == name]


async def test_what_was_learnt_is_used_while_it_fits(
    session: Session, tmp_path: Path, messages: Path, embedder: BagEmbedder
) -> None:
    await send(session, COOK)
    assert [text for text in notices(session) if "judges by likeness" in text] != []
    events = await run(session, f"/experts train {messages}")
    assert "learnt from 77 messages for 6 experts" in getattr(events[-1], "text", "")
    asked = len(embedder.embedded)
    await send(session, f"{COOK} number 12")
    assert laid(session) == {"cook": 0.8}
    assert session.values["experts.last"]["by"] == "training"
    assert sum(session.values["experts.last"]["scores"].values()) < 1
    await send(session, f"{NEITHER} number 12")
    assert laid(session) == {}
    assert len(embedder.embedded) == asked + 2
    # An expert that has changed is another one than was learnt.
    put(tmp_path, "cook", FILES["cook"].replace(f"{COOK} salt", f"{COOK} pepper"))
    await send(session, COOK)
    assert session.values["experts.last"]["by"] == "likeness"
    put(tmp_path, "cook", FILES["cook"])
    place(session.host).write_text("{", encoding="utf-8")
    await send(session, COOK)
    assert session.values["experts.last"]["by"] == "likeness"


async def test_too_little_to_learn_from(session: Session, tmp_path: Path) -> None:
    few = put_messages(tmp_path, [row for row in ROWS if row[1] != "none"][:14] + ROWS[-9:], "few.jsonl")
    with pytest.raises(UsageError, match="There are 6 messages for 'sailor', and 8 are needed"):
        await run(session, f"/experts train {few}")
    none = put_messages(tmp_path, ROWS[:-9], "none.jsonl")
    with pytest.raises(UsageError, match="There are 0 messages for 'none', and 8 are needed"):
        await run(session, f"/experts train {none}")
    assert not place(session.host).exists()


@pytest.mark.parametrize(
    "change",
    [{"bias": [0.0]}, {"weights": [[1.0], [1.0, 2.0]]}, {"bias": [0.0, "much"]}, {"classes": None}, {"seen": 1}],
)
def test_a_damaged_head_is_none(tmp_path: Path, change: dict[str, Any]) -> None:
    whole = {"model": "m", "experts": {"a": "x"}, "classes": ["a", "none"], "weights": [[1.0], [2.0]],
             "bias": [0.0, 1.0], "seen": []}  # fmt: skip
    path = tmp_path / "head.json"
    path.write_text(json.dumps(whole), encoding="utf-8")
    assert load(path) == Head("m", {"a": "x"}, ("a", "none"), ((1.0,), (2.0,)), (0.0, 1.0))
    path.write_text(json.dumps(whole | change), encoding="utf-8")
    assert load(path) is None


def test_arithmetic() -> None:
    head = Head("m", {}, ("a", "b"), ((1.0, 2.0), (-1.0, 0.0)), (0.5, 0.0))
    assert head.logits([3.0, 4.0]) == {"a": 11.5, "b": -3.0}
    assert softmax({"a": 1000.0, "b": 1000.0}) == {"a": 0.5, "b": 0.5}
    one, same, other = spelling("Give me JSON!"), spelling("give  me json!"), spelling("Qual é a capital?")
    assert one == same
    assert dot(one, one) == pytest.approx(1)
    assert dot(one, other) < dot(one, spelling("JSON, please"))
    assert len(spelling("")) == len(one)


async def test_the_gate_is_measured(session: Session, messages: Path, tmp_path: Path) -> None:
    rows = [(f"{COOK} at noon", "cook"), (f"{COOK} today", "sailor"), (NEITHER, "none"), (f"{SAIL} now", "none")]
    other = put_messages(tmp_path, rows, "other.jsonl")
    events = await run(session, f"/eval experts {messages} {other} --gate-only --likeness")
    first, second = values(events, "eval.experts")
    assert (first["split"], first["all messages"]["right"], first["all messages"]["total"]) == ("messages", 27, 27)
    assert (second["those of an expert"]["right"], second["those of an expert"]["total"]) == (1, 2)
    assert second["those of none, rejected"]["right"] == 1
    low, high = second["those of none, rejected"]["interval"]
    assert low < 0.5 < high
    _, table = values(events, "eval.experts.confusion")
    by_label = {row["label"]: row for row in table}
    assert (by_label["cook"]["cook"], by_label["sailor"]["cook"], by_label["none"]["sailor"]) == (1, 1, 1)
    with pytest.raises(UsageError, match=r"Answers can be judged for brief, json, .* not for 'cook': add --gate-only"):
        await run(session, f"/eval experts {messages}")
    with pytest.raises(UsageError, match="Name a file of labelled messages"):
        await run(session, "/eval experts")


async def test_answers_are_measured_and_gone_on_with(session: Session, tmp_path: Path) -> None:
    file = put_messages(tmp_path, [("Give me the population of France as JSON.", "json"), (NEITHER, "none")])
    engine, out = script(session), tmp_path / "rows.jsonl"
    # Mix by mix in the order of their names: brief, json, none, pt-br, shell; json first, then none in each.
    engine.says("Many.", "Few.", '{"answer": 68}', '{"answer": 1}', "Some.", "word " * 30)
    events = await run(session, f"/eval experts {file} --out {out}")
    (quality,) = values(events, "eval.experts.quality")
    assert {way: quality[way]["right"] for way in ("the gate", "always json", "always brief", "none")} == {
        "the gate": 2,
        "always json": 1,
        "always brief": 0,
        "none": 1,
    }
    assert quality["best"] == "always json"
    assert len(engine.requests) == 10
    assert [tuple(each.name for each in config.adapters) for config in engine.configs] == [
        ("brief",), ("json",), (), ("pt-br",), ("shell",),
    ]  # fmt: skip
    # Half of the rows are lost: only these are asked again.
    lines = out.read_text(encoding="utf-8").splitlines(keepends=True)
    out.write_text("".join(lines[:6]), encoding="utf-8")
    again = await run(session, f"/eval experts {file} --out {out}")
    assert len(engine.requests) == 15
    assert any("5 of 10 answers are in" in getattr(event, "text", "") for event in again)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("brief", "Lima.", "```\nLima\n```"),
        ("brief", "It was in 1969.", "word " * 19),
        ("json", '{"answer": "Lima", "confidence": "high"}', 'Here it is: {"answer": "Lima"}'),
        ("json", "{}", "[1, 2]"),
        ("shell", "```bash\nls -a\n```\n\nLists all files.", "Use `ls -a`."),
        ("shell", "```\nls\n```\nLists.", "```bash\nls\npwd\n```\nLists."),
        ("pt-br", "O céu é azul por causa da luz do sol.", "El cielo es azul por la luz del sol."),
        ("pt-br", "Você pode usar arroz e não precisa de sal.", "You can use rice and do not need salt."),
        ("none", "A long answer in many words. " * 5, '{"answer": 1}'),
        (
            "none",
            "Il était une fois un roi qui aimait les longues promenades dans les bois noirs et froids de son pays.",
            "Yes.",
        ),
    ],
)
def test_behaviour_is_told_by_form(name: str, good: str, bad: str) -> None:
    assert CHECKS[name](good)
    assert not CHECKS[name](bad)
