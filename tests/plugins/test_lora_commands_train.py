"""`/lora train` and what belongs to it, with a training whose steps the tests decide."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from chatapp import ChatappError, Data, Notice, UsageError
from chatapp.testing import MODEL, ScriptedEngine
from chatapp_lora.runs import Runs
from chatapp_lora.store import Adapters
from tests.plugins.lora_scripted import BASE, BYTES, ScriptedLearner, chats, talked, text_of, told, training_in
from tests.plugins.test_inspect_gguf import made


async def test_an_adapter_is_trained_stored_and_compared(tmp_path: Path) -> None:
    learner, engine = ScriptedLearner(), ScriptedEngine()
    engine.says("Two.", "Three.", "Two. Ahoy!", "Three. Ahoy!")
    async with training_in(tmp_path, learner, engine) as session:
        events = await told(session, f'/lora train pirate --data "{chats(tmp_path)}" --steps 6')
        (plan,) = learner.runs
        assert (len(plan.train), len(plan.held_out), plan.steps, plan.batch) == (18, 2, 6, 4)
        assert (plan.rank, plan.alpha, plan.targets, plan.rate) == (8, 16.0, ("q", "k", "v", "o"), 1e-3)
        stored = Adapters(session.host).get("pirate")
        assert stored.path.read_bytes() == BYTES
        card = stored.card
        assert (card["base"], card["base_sha256"], card["steps"]) == (MODEL, plan.base_sha256, 6)
        assert (card["architecture"], card["layers"], card["data"]["source"]) == ("qwen2", 2, "chats.jsonl")
        table = next(each for each in events if isinstance(each, Data) and each.name == "lora.compared")
        assert [(row["without"], row["with pirate"]) for row in table.value] == [
            ("Two.", "Two. Ahoy!"),
            ("Three.", "Three. Ahoy!"),
        ]
        assert [row["adapted"] for row in card["compared"]] == ["Two. Ahoy!", "Three. Ahoy!"]
        assert "pirate is trained: 6 steps in 83 s" in text_of(events)
        assert Runs(session.host).names() == []
        assert learner.closed == 1


async def test_the_comparison_asks_without_and_with_the_adapter_and_then_has_the_old_mix(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with training_in(tmp_path, ScriptedLearner(), engine) as session:
        await told(session, f'/lora train old --data "{chats(tmp_path)}" --steps 4 --no-compare')
        await told(session, "/lora old=0.5")
        before = len(engine.configs)
        await told(session, f'/lora train new --data "{chats(tmp_path)}" --steps 4')
        mixes = [{each.name: each.scale for each in config.adapters} for config in engine.configs[before:]]
        assert mixes == [{}, {"new": 1.0}, {"old": 0.5}]
        questions = [request.messages[-1].text for request in engine.requests]
        assert questions[:2] == questions[2:]
        assert {request.sampling.temperature for request in engine.requests} == {0.0}


async def test_an_answer_of_the_conversation_goes_before_the_comparison(tmp_path: Path) -> None:
    engine = ScriptedEngine(delay=0.01)
    engine.says("word " * 30, "Mine.")
    async with training_in(tmp_path, ScriptedLearner(), engine) as session:
        training = asyncio.create_task(told(session, f'/lora train a --data "{chats(tmp_path)}" --steps 4'))
        async with asyncio.timeout(20):
            while not engine.requests:  # noqa: ASYNC110 (the engine sets no event)
                await asyncio.sleep(0.005)
        asked = [event async for event in session.send("Hello")]
        assert text_of(asked) == ""
        assert session.turn is not None
        assert session.turn.text == "Mine."
        events = await training
        # The question that was stopped was asked again: two prompts without, two with, one stopped, one of the chat.
        assert len(engine.requests) == 6
        assert engine.stopped == 1
        assert any(isinstance(each, Data) and each.name == "lora.compared" for each in events)


async def test_no_comparison_that_would_close_the_model_that_answers(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    async with training_in(tmp_path, ScriptedLearner(), engine) as session:
        assert [progress async for progress in session.warm()] == []
        base = tmp_path / "base.gguf"
        events = await told(session, f'/lora train a --data "{chats(tmp_path)}" --steps 4 --base "{base}"')
        assert "not compared" in next(each.text for each in events if isinstance(each, Notice))
        assert engine.requests == []


async def test_marked_answers_are_learnt_where_nothing_else_is_named(tmp_path: Path) -> None:
    learner = ScriptedLearner()
    async with training_in(tmp_path, learner) as session:
        for number in range(8):
            talked(session, (f"What is {number}?", "A number."))
            await told(session, "/good" if number % 2 else f"/fix {number}!")
        await told(session, "/lora train mine --steps 4 --no-compare")
        (plan,) = learner.runs
        assert (len(plan.train), len(plan.held_out)) == (6, 2)
        answers = {each.messages[-1][1] for each in (*plan.train, *plan.held_out)}
        assert answers == {"A number.", "0!", "2!", "4!", "6!"}


async def test_a_set_of_examples_is_learnt_whole(tmp_path: Path) -> None:
    import chatapp_fewshot

    learner = ScriptedLearner()
    async with training_in(tmp_path, learner) as session:
        with pytest.raises(UsageError, match="plugin 'fewshot'"):
            await told(session, "/lora train a --shots long")
        session.host.add("fewshot", chatapp_fewshot)
        path = session.host.paths.config / "fewshot" / "long.jsonl"
        path.parent.mkdir(parents=True)
        rows = [{"input": f"{number} " * 90, "output": "x" * 300} for number in range(9)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "broken\n", encoding="utf-8")
        await told(session, "/lora train a --shots long --steps 4 --no-compare")
        (plan,) = learner.runs
        found = {each.messages for each in (*plan.train, *plan.held_out)}
        assert found == {(("user", row["input"].strip()), ("assistant", row["output"])) for row in rows}
        assert any("line 10" in text for _, text in session.ui.notices)  # type: ignore[attr-defined]


async def test_the_same_seed_holds_out_the_same(tmp_path: Path) -> None:
    learner = ScriptedLearner()
    async with training_in(tmp_path, learner) as session:
        line = f'--data "{chats(tmp_path, 40)}" --steps 4 --no-compare'
        for name, seed in (("a", 1), ("b", 1), ("c", 2)):
            await told(session, f"/lora train {name} {line} --seed {seed}")
        a, b, c = (set(plan.held_out) for plan in learner.runs)
        assert a == b != c
        assert len(a) == 4
        assert all(not set(plan.train) & set(plan.held_out) for plan in learner.runs)


async def test_all_settings_reach_the_plan(tmp_path: Path) -> None:
    learner = ScriptedLearner()
    async with training_in(tmp_path, learner, lora={"threads": 3}) as session:
        line = "--rank 4 --alpha 6 --targets q,v --steps 5 --lr 0.01 --batch 2 --longest 99 --activated --seed 9"
        await told(session, f'/lora train a --data "{chats(tmp_path)}" {line} --no-compare')
        (plan,) = learner.runs
        assert (plan.rank, plan.alpha, plan.targets, plan.steps) == (4, 6.0, ("q", "v"), 5)
        assert (plan.rate, plan.batch, plan.seed, plan.threads, plan.longest) == (0.01, 2, 9, 3, 99)
        assert plan.invocation == "<|im_start|>assistant\n"
        assert Adapters(session.host).get("a").invocation == plan.invocation


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("", "Say what to learn from"),
        ("--here", "no different examples in marked answers"),
        ("--data few.jsonl", "7 different examples in few.jsonl, and at least 8"),
        ("--data gone.jsonl", "not a file"),
        ("--data chats.jsonl --here", "one source"),
        ("--data chats.jsonl --rank 0", "--rank is from 1"),
        ("--data chats.jsonl --lr nan", "--lr is greater than 0"),
        ("--data chats.jsonl --targets q,z", "no target 'z'"),
        ("--data chats.jsonl --full --activated", "cannot be --activated"),
        ("--data chats.jsonl --base gone", "gone"),
        ("--data chats.jsonl --base other.gguf", "architecture"),
    ],
)
async def test_what_cannot_be_trained_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    chats(tmp_path)
    chats(tmp_path, 7, "few.jsonl")
    Path("other.gguf").write_bytes(made({"general.architecture": "strange"}))
    learner = ScriptedLearner()
    async with training_in(tmp_path, learner) as session:
        with pytest.raises(ChatappError, match=sentence) as error:
            await told(session, f"/lora train a {options}")
        assert "\n" not in str(error.value)
        assert learner.runs == []
        assert Runs(session.host).names() == []


@pytest.mark.parametrize("name", ["../a", "A b", "train", ""])
async def test_a_name_is_a_safe_file_name(tmp_path: Path, name: str) -> None:
    async with training_in(tmp_path, ScriptedLearner()) as session:
        with pytest.raises(UsageError, match="cannot be called"):
            await told(session, f'/lora train "{name or " "}" --data "{chats(tmp_path)}"')


async def test_an_adapter_is_replaced_only_when_that_is_wanted(tmp_path: Path) -> None:
    learner = ScriptedLearner()
    line = f'/lora train a --data "{chats(tmp_path)}" --steps 4 --no-compare'
    async with training_in(tmp_path, learner, None, False, True) as session:
        await told(session, line)
        with pytest.raises(UsageError, match="is kept"):
            await told(session, line)
        first = Adapters(session.host).get("a").card["created"]
        await told(session, f"{line} --seed 3")
        assert [plan.seed for plan in learner.runs] == [0, 3]
        await told(session, "/lora rm a")
        assert Adapters(session.host).find("a") is None
        assert first


@pytest.mark.parametrize(("answers", "trained"), [([True], 1), ([False], 0)])
async def test_it_asks_where_memory_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: list[bool], trained: int
) -> None:
    monkeypatch.setattr("chatapp_lora.training.memory.free", lambda: 500_000_000)
    learner = ScriptedLearner()
    async with training_in(tmp_path, learner, None, *answers) as session:
        training = told(session, f'/lora train a --data "{chats(tmp_path)}" --steps 4 --no-compare')
        if trained:
            await training
        else:
            with pytest.raises(UsageError, match=r"needs about .* are free: close other programs"):
                await training
        assert session.ui.questions == ["Train all the same?"]  # type: ignore[attr-defined]
        assert len(learner.runs) == trained
        assert Runs(session.host).names() == []


async def test_what_the_machine_cannot_hold_is_refused_with_what_would_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("free", "installed"):
        monkeypatch.setattr(f"chatapp_lora.training.memory.{name}", lambda: 500_000_000)
    async with training_in(tmp_path, ScriptedLearner(), None, True) as session:
        with pytest.raises(UsageError, match="this machine has too little for it, or"):
            await told(session, f'/lora train a --data "{chats(tmp_path)}"')
        assert session.ui.questions == []  # type: ignore[attr-defined]


async def test_training_all_of_it_says_what_that_takes_and_makes_a_model(tmp_path: Path) -> None:
    learner = ScriptedLearner()
    learner.bytes = made(BASE)
    async with training_in(tmp_path, learner) as session:
        events = await told(session, f'/lora train whole --data "{chats(tmp_path)}" --steps 4 --full')
        assert learner.runs[0].full
        assert learner.runs[0].rate < 1e-4
        assert any("full fine-tuning keeps 16 bytes" in text for _, text in session.ui.notices)  # type: ignore[attr-defined]
        assert "`/model whole` answers with it" in text_of(events)
        assert session.host.models.path("whole").read_bytes() == learner.bytes
        assert Adapters(session.host).find("whole") is None
