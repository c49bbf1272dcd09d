"""Trainings that are stopped, go on, fail, or are dropped."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chatapp import ChatappError, Data, Progress, UsageError
from chatapp.testing import MODEL
from chatapp_lora.learning import school
from chatapp_lora.runs import Runs
from chatapp_lora.store import Adapters
from tests.plugins.lora_scripted import ScriptedLearner, chats, stopped, text_of, told, training_in, until


async def test_two_trainings_do_not_go_on_at_once(tmp_path: Path) -> None:
    learner = ScriptedLearner(free=2)
    async with training_in(tmp_path, learner) as session:
        line = f'--data "{chats(tmp_path)}" --steps 4 --no-compare'
        first = asyncio.create_task(told(session, f"/lora train a {line}"))
        await until(lambda: learner.reached.get("a") == 2)
        with pytest.raises(UsageError, match="a is being trained"):
            await told(session, f"/lora train b {line}")
        with pytest.raises(UsageError, match="being trained already"):
            Runs(session.host).hold("a")
        learner.let()
        await first
        assert school(session.host).lesson is None


async def test_a_stopped_training_goes_on_and_is_listed_meanwhile(tmp_path: Path) -> None:
    learner = ScriptedLearner(free=3)
    async with training_in(tmp_path, learner) as session:
        path = chats(tmp_path)
        await stopped(session, learner, f'/lora train a --data "{path}" --steps 6 --rank 2 --no-compare', 3)
        assert "stopped at step 3; `/lora train a` goes on" in session.ui.notices[-1][1]  # type: ignore[attr-defined]
        assert (learner.stopped, learner.closed) == (1, 1)
        path.unlink()
        (listed,) = await told(session, "/lora trainings")
        assert isinstance(listed, Data)
        assert [tuple(row.values()) for row in listed.value] == [("a", 3, 6, MODEL, "chats.jsonl")]
        learner.let()
        events = await told(session, "/lora train a")
        first, second = learner.runs
        assert first == second
        assert [each.done for each in events if isinstance(each, Progress) and each.unit == "steps"] == [4, 5, 6]
        assert Adapters(session.host).get("a").card["rank"] == 2
        (listed,) = await told(session, "/lora trainings")
        assert isinstance(listed, Data)
        assert listed.value == []


async def test_another_training_of_the_same_name_begins_anew_only_when_that_is_wanted(tmp_path: Path) -> None:
    learner = ScriptedLearner(free=2)
    async with training_in(tmp_path, learner, None, False, True) as session:
        line = f'/lora train a --data "{chats(tmp_path)}" --no-compare'
        await stopped(session, learner, f"{line} --steps 6", 2)
        with pytest.raises(UsageError, match="without options goes on"):
            await told(session, f"{line} --steps 5")
        learner.let()
        learner.reached.clear()
        await told(session, f"{line} --steps 5")
        assert [plan.steps for plan in learner.runs] == [6, 5]


async def test_an_unfinished_training_is_dropped(tmp_path: Path) -> None:
    learner = ScriptedLearner(free=2)
    async with training_in(tmp_path, learner, None, False, True) as session:
        await stopped(session, learner, f'/lora train a --data "{chats(tmp_path)}" --no-compare', 2)
        with pytest.raises(UsageError, match="is kept"):
            await told(session, "/lora forget a")
        assert "dropped" in text_of(await told(session, "/lora forget a"))
        assert Runs(session.host).names() == []
        with pytest.raises(UsageError, match="no unfinished training a"):
            await told(session, "/lora forget a")


async def test_a_damaged_order_is_told_and_can_be_dropped(tmp_path: Path) -> None:
    async with training_in(tmp_path, ScriptedLearner(), None, True) as session:
        folder = Runs(session.host).place("a")
        folder.mkdir(parents=True)
        (folder / "order.json").write_text('{"plan": {}}')
        with pytest.raises(UsageError, match="`/lora forget a` drops it"):
            await told(session, "/lora train a")
        (listed,) = await told(session, "/lora trainings")
        assert isinstance(listed, Data)
        assert "cannot be read" in listed.value[0]["learns from"]
        await told(session, "/lora forget a")
        assert Runs(session.host).names() == []


async def test_what_fails_is_told_and_the_training_can_go_on(tmp_path: Path) -> None:
    learner = ScriptedLearner()
    async with training_in(tmp_path, learner) as session:
        learner.fails = "The loss is not a number."
        with pytest.raises(ChatappError, match="not a number"):
            await told(session, f'/lora train a --data "{chats(tmp_path)}" --steps 4 --no-compare')
        assert Runs(session.host).names() == ["a"]
        assert (school(session.host).lesson, learner.closed) == (None, 1)
        learner.fails = ""
        await told(session, "/lora train a")
        assert Adapters(session.host).find("a") is not None
