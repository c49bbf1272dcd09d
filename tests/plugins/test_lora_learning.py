"""A training as it is looked at, what is kept of it, and its card."""

from __future__ import annotations

import asyncio
import json
import math
from pathlib import Path
from typing import Any

import pytest

from chatapp import Data, EngineError, read_gguf
from chatapp_lora.card import card_of, digest, markdown
from chatapp_lora.learning import begin, under_way
from chatapp_lora.lesson import Lesson, best_of, human_time, smoothed
from chatapp_lora.runs import Run, Runs, note, noted
from chatapp_lora.training.plan import Example, Plan, Step, Trained
from tests.plugins.lora_scripted import BASE, BYTES, ScriptedLearner, chats, told, training_in
from tests.plugins.test_inspect_gguf import made


def plan_in(folder: Path, steps: int = 10) -> Plan:
    """A plan on the smallest base."""
    base = folder / "base.gguf"
    base.write_bytes(made(BASE))
    examples = tuple(Example((("user", str(each)), ("assistant", "yes | no"))) for each in range(5))
    return Plan("a", base, "0" * 64, folder, examples[:3], examples[3:], steps=steps)


def test_the_smoothed_loss_begins_at_the_first_and_follows() -> None:
    assert smoothed([]) == []
    assert smoothed([4.0]) == [4.0]
    assert smoothed([2.0] * 5) == pytest.approx([2.0] * 5)
    falling = smoothed([4.0, 4.0, 1.0, 1.0, 1.0])
    # 0.8 of the mean before and 0.2 of the new, divided by what the weights add up to.
    assert falling[2] == pytest.approx((0.2 * (0.64 * 4 + 0.8 * 4 + 1.0)) / (1 - 0.8**3))
    assert falling[2:] == sorted(falling[2:], reverse=True)


def test_how_far_it_is_and_how_long_it_takes() -> None:
    lesson = Lesson("brief", 40)
    changes: list[int] = []
    forget = lesson.watch(lambda: changes.append(lesson.done))
    assert (lesson.seconds_left, lesson.progress.label) == (None, "Training brief")
    for number in range(1, 9):
        lesson.step(Step(number, 4.0 / number, 3.0 if number < 8 else 60.0, 1.0 / number if number % 4 == 0 else None))
    # One slow step says nothing of the others.
    assert lesson.seconds_left == 32 * 3.0
    assert lesson.held_out == [(4, 0.25), (8, 0.125)]
    assert [step for step, _ in lesson.losses] == list(range(1, 9))
    assert (lesson.progress.done, lesson.progress.total, lesson.progress.unit) == (8, 40, "steps")
    assert "96 s left" not in lesson.progress.label
    assert "2 min left" in lesson.progress.label
    forget()
    lesson.step(Step(9, 1.0, 3.0))
    assert changes == list(range(1, 9))


def test_a_step_that_is_done_again_takes_the_place_of_what_followed() -> None:
    lesson = Lesson("a", 9)
    for number, loss in ((1, 5.0), (2, 4.0), (3, 3.0), (2, 2.0)):
        lesson.step(Step(number, loss, 1.0))
    assert [(each.step, each.loss) for each in lesson.steps] == [(1, 5.0), (2, 2.0)]


async def test_news_end_when_it_is_paused_and_a_stream_that_just_ends_is_an_error() -> None:
    lesson, learner = Lesson("a", 4), ScriptedLearner(free=1)
    plan = Plan("a", Path("none"), "", Path("none"), (), (), steps=4)
    found: list[Any] = []
    news = learner.run(plan)
    reading = asyncio.create_task(_all(lesson, news, found))
    async with asyncio.timeout(10):
        while len(found) < 2:  # noqa: ASYNC110 (the scripted training sets no event)
            await asyncio.sleep(0.001)
    lesson.pause()
    assert lesson.pausing
    await reading
    assert [type(each).__name__ for each in found] == ["Progress", "Step"]
    lesson.pause()
    await lesson.resumed()
    with pytest.raises(EngineError, match="without an adapter"):
        await _all(lesson, news, found)


async def _all(lesson: Lesson, news: Any, found: list[Any]) -> None:
    async for event in lesson.until_paused(news):
        found.append(event)


def test_the_best_step_and_times_in_words() -> None:
    assert best_of([]) is None
    assert best_of([(10, 2.0), (20, 1.0), (30, 1.5)]) == (20, 1.0)
    assert [human_time(each) for each in (None, 0.4, 42.4, 100, 3900)] == ["", "0 s", "42 s", "2 min", "1 h 5 min"]


async def test_a_run_is_kept_exactly_and_its_curve_survives_a_torn_line(tmp_path: Path) -> None:
    async with training_in(tmp_path, ScriptedLearner()) as session:
        runs = Runs(session.host)
        plan = plan_in(tmp_path)
        kept = Run(Plan(**{**_values(plan), "folder": runs.place("a"), "rate": 0.1 + 0.2}), "base", "chats", False)
        runs.save(kept)
        assert runs.find("a") == kept
        assert (kept.plan.folder / "order.json").stat().st_mode & 0o077 == 0
        for number, loss in ((1, 3.0), (2, 2.0), (2, 1.5), (3, math.inf)):
            note(kept.plan.folder, Step(number, loss, 1.0, loss if number == 2 else None))
        with (kept.plan.folder / "steps.jsonl").open("a") as file:
            file.write('[4, 1.0, nu\n"strange"\n[5')
        assert [(each.step, each.loss, each.held_out) for each in noted(kept.plan.folder)] == [
            (1, 3.0, None), (2, 1.5, 1.5), (3, math.inf, None),
        ]  # fmt: skip
        lesson = begin(kept, lambda: False)
        assert lesson.done == 3
        assert under_way(lesson.number) is lesson
        lesson.become("stopped")
        assert under_way(lesson.number) is None


def _values(plan: Plan) -> dict[str, Any]:
    return {name: getattr(plan, name) for name in Plan.__dataclass_fields__}


def trained_in(folder: Path) -> Trained:
    """What a training came to."""
    path = folder / "adapter.gguf"
    path.write_bytes(BYTES)
    facts = {
        "losses": [3.0, 2.0, 1.0],
        "held_out": [[0, 3.5], [2, 2.5]],
        "versions": {"torch": "2.13"},
        "dtype": "bf16",
    }
    return Trained(path, 3, 2, 1.0, 2.5, 61.0, 3_000_000_000, facts)


def test_the_card_says_what_it_was_made_from_and_can_be_read(tmp_path: Path) -> None:
    plan = plan_in(tmp_path)
    card = json.loads(
        json.dumps(card_of(plan, trained_in(tmp_path), base="small", source="chats.jsonl", licence="MIT"))
    )
    assert card["data"] == {
        "source": "chats.jsonl", "count": 5, "held_out": 2, "sha256": digest((*plan.train, *plan.held_out)),
    }  # fmt: skip
    assert card["sha256"] == "95a7ad8c415eb672a9234fb7355336398f25224a4498f6f77e441477f7fcac54"
    assert (card["embedding"], card["layers"]) == (64, read_gguf(plan.base).values["qwen2.block_count"])
    shown = markdown({**card, "compared": [{"prompt": "a\nb", "base": "x | y", "adapted": "z"}]})
    for text in (
        "# a",
        "- made for: small",
        "|    2 |  2.000 |    2.500 |",
        "|    0 |        |    3.500 |",
        "- licence: MIT",
    ):
        assert text in shown
    assert "- a b\n  - without: x | y\n  - with: z" in shown
    assert "description" not in shown


@pytest.mark.parametrize(
    "card",
    [{}, {"data": [], "settings": 3, "losses": {}, "held_out_losses": [1, [2], ["x", "y"]], "compared": ["x"]},
     {"effect": {"held_out_right": "20 of 24"}, "targets": "q", "bytes": "many", "facts": None}],
)  # fmt: skip
def test_a_damaged_card_is_shown_as_far_as_it_goes(card: dict[str, Any]) -> None:
    shown = markdown(card)
    assert shown.startswith("# Adapter")
    assert "## Loss" not in shown
    assert ("20 of 24" in shown) == ("effect" in card)


def test_the_hash_of_examples_is_of_what_they_say(tmp_path: Path) -> None:
    one, two = (Example((("user", "ä"), ("assistant", text))) for text in "bc")
    # What `printf '[["user","ä"],["assistant","b"]]\n' | sha256sum` gives.
    assert digest([one]) == "5592739681df9422eb8bcf2443461458316d6b9a31fc86e6f9cd4fbc8d86945e"
    assert len({digest(each) for each in ([one], [two], [one, two], [two, one])}) == 4


async def test_the_card_is_shown_by_a_command(tmp_path: Path) -> None:
    async with training_in(tmp_path, ScriptedLearner()) as session:
        await told(session, f'/lora train a --data "{chats(tmp_path)}" --steps 4 --no-compare')
        (shown,) = await told(session, "/lora info a")
        assert isinstance(shown, Data)
        assert "- examples: 20\n" in shown.text
