"""Training a tiny model: it learns, stops and goes on exactly, and what it exports does in llama.cpp what PEFT does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chatapp import EngineError, Job, UsageError, read_gguf
from chatapp_lora.training import loop, service
from chatapp_lora.training.plan import INVOCATION, Example
from chatapp_lora.training.service import Service
from chatapp_lora.training.vocabulary import Vocabulary
from tests.plugins.lora_runs import CHATS, Impatient, plan, run, trained
from tests.plugins.tiny_lora import llama_logits, tiny_model

torch = pytest.importorskip("torch")
PROMPT = "<|im_start|>system\nHelp.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute in fp32, so that what PEFT and llama.cpp compute can be compared."""
    monkeypatch.setattr(service, "fastest", lambda: "fp32")


def ids_of(model: Path, text: str) -> list[int]:
    with Vocabulary(model) as vocabulary:
        return vocabulary.tokenize(text)


def peft_logits(held: Service, ids: list[int]) -> Any:
    """The logits after the last token as PEFT computes them, with the adapter that was trained last."""
    learner = held._held.learner  # type: ignore[union-attr]
    with torch.no_grad():
        states = learner._model(input_ids=torch.tensor([ids])).logits[0, -1]
        return (states @ learner._head.T).float().numpy()


def test_it_learns_and_tells_how(tmp_path: Path, model: Path, cache: Path) -> None:
    made = plan(tmp_path, model, steps=24)
    news = run(made, cache)
    done = trained(news)
    assert [each.step for each in news[:-1]] == list(range(1, 25))
    assert news[-2].loss < 0.5 * news[0].loss
    assert [each.step for each in news[:-1] if each.held_out is not None] == [4, 8, 12, 16, 20, 24]
    facts = done.facts
    assert facts["losses"] == [round(each.loss, 5) for each in news[:-1]]
    assert [step for step, _ in facts["held_out"]] == [0, 4, 8, 12, 16, 20, 24]
    assert done.held_out == min(each.held_out for each in news[:-1] if each.held_out is not None)
    assert dict(facts["held_out"])[done.best] == pytest.approx(done.held_out, abs=1e-5)
    assert facts["parameters"] == 2 * 4 * (64 + 64 + 2 * (64 + 32) + 64 + 64)
    assert facts["tokens"] > facts["tokens_learnt"] > 0
    assert facts["versions"].keys() == {"torch", "transformers", "peft", "gguf"}
    assert done.memory > 0 < done.seconds


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("architecture", ["qwen2", "llama", "qwen3"])
def test_llama_cpp_computes_what_peft_computed(tmp_path: Path, cache: Path, architecture: str) -> None:
    model = tiny_model(tmp_path / "tiny.gguf", architecture, tied=architecture == "llama")
    held = Service(nice=0)
    made = plan(tmp_path, model, base_sha256=architecture, targets=("q", "k", "v", "o", "gate", "up", "down"))
    done = trained(run(made, cache, service=held))
    ids = ids_of(model, PROMPT + INVOCATION)
    base, wanted = llama_logits(model, ids), peft_logits(held, ids)
    found = llama_logits(model, ids, [(done.path, 1.0)])
    assert abs(found - wanted).max() < 0.01 * abs(wanted).max()
    assert abs(base - wanted).max() > 0.1 * abs(wanted).max()


@pytest.mark.usefixtures("exact")
def test_an_activated_adapter_begins_with_its_invocation(tmp_path: Path, model: Path, cache: Path) -> None:
    held = Service(nice=0)
    done = trained(run(plan(tmp_path, model, invocation=INVOCATION), cache, service=held))
    before, after = ids_of(model, PROMPT), ids_of(model, INVOCATION)
    assert read_gguf(done.path).values["adapter.alora.invocation_tokens"] == after == done.facts["invocation"]
    wanted = peft_logits(held, before + after)
    near = 0.005 * abs(wanted).max()
    differences = [
        abs(llama_logits(model, before + after, [(done.path, 1.0)], begin=len(before) + by) - wanted).max()
        for by in (-1, 0, 1)
    ]
    assert differences[1] < near
    assert min(differences[0], differences[2]) > 2 * near


def test_a_run_that_was_stopped_anywhere_ends_as_one_that_was_not(tmp_path: Path, model: Path, cache: Path) -> None:
    whole = trained(run(plan(tmp_path / "whole", model), cache))
    made = plan(tmp_path / "parts", model)
    parts = [run(made, cache, Impatient(looks)) for looks in (9, 12, 10, 7)]
    steps = [each.step for part in parts for each in part]
    assert len(steps) > 3
    assert steps == sorted(set(steps))
    assert steps[-1] < 12
    last = trained(run(made, cache))
    assert last.path.read_bytes() == whole.path.read_bytes()
    assert (last.facts["losses"], last.facts["held_out"]) == (whole.facts["losses"], whole.facts["held_out"])


def test_going_on_in_the_same_process_loads_nothing_again(tmp_path: Path, model: Path, cache: Path) -> None:
    whole = trained(run(plan(tmp_path / "whole", model), cache))
    made, held = plan(tmp_path / "parts", model), Service(nice=0)
    told: list[Any] = []
    news = held.train(Job(0, lambda _: None), made, cache, True)
    with closing(news):  # type: ignore[type-var]
        assert [next(news).step for _ in range(5)] == [1, 2, 3, 4, 5]  # type: ignore[union-attr]
    last = trained(run(made, cache, Job(0, told.append), held))
    assert told == []
    assert last.path.read_bytes() == whole.path.read_bytes()


def test_a_finished_run_gives_its_adapter_again(tmp_path: Path, model: Path, cache: Path) -> None:
    made = plan(tmp_path, model)
    first = trained(run(made, cache)).path.read_bytes()
    again = run(made, cache)
    assert len(again) == 1
    assert trained(again).path.read_bytes() == first


def test_another_plan_does_not_take_up_what_is_there(tmp_path: Path, model: Path, cache: Path) -> None:
    made = plan(tmp_path, model)
    run(made, cache, Impatient(40))
    with pytest.raises(UsageError, match="unfinished training of tiny with other data or settings"):
        run(replace(made, rank=8), cache)
    (made.folder / "state.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(UsageError, match="is damaged: drop it"):
        run(made, cache)


def test_it_ends_early_with_the_best_weights(tmp_path: Path, model: Path, cache: Path) -> None:
    # What is held out contradicts what is learnt, so its loss soon grows.
    held_out = tuple(Example((*each.messages[:1], ("assistant", "ZZZZ"))) for each in CHATS[:3])
    made = plan(tmp_path, model, held_out=held_out, steps=60, evaluate_every=3, patience=2)
    done = trained(run(made, cache))
    assert done.steps < 60
    losses = dict(done.facts["held_out"])
    assert losses[done.best] == min(loss for step, loss in losses.items() if step)
    assert done.best < done.steps
    short = plan(tmp_path / "short", model, held_out=held_out, steps=60, evaluate_every=3, patience=0)
    stopped = Service(nice=0)
    news = stopped.train(Job(0, lambda _: None), short, cache, True)
    with closing(news):  # type: ignore[type-var]
        while next(news).step < done.best:  # type: ignore[union-attr]
            pass
    ids = ids_of(model, PROMPT)
    best = llama_logits(model, ids, [(done.path, 1.0)])
    wanted = peft_logits(stopped, ids)
    assert abs(best - wanted).max() < 0.05 * abs(wanted).max()


def test_a_loss_that_is_no_number_is_told(tmp_path: Path, model: Path, cache: Path) -> None:
    with pytest.raises(EngineError, match="is not a number: train at a lower learning rate"):
        run(plan(tmp_path, model, rate=1e30, steps=30, held_out=()), cache)


@pytest.mark.parametrize("invocation", ["", INVOCATION])
def test_saving_memory_changes_nothing(
    tmp_path: Path, model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, invocation: str
) -> None:
    whole = trained(run(plan(tmp_path / "whole", model, invocation=invocation), cache))
    monkeypatch.setattr("chatapp_lora.training.memory.free", lambda: 0)
    spared = trained(run(plan(tmp_path / "spared", model, invocation=invocation), cache))
    assert spared.facts["losses"] == pytest.approx(whole.facts["losses"], rel=1e-3)


def test_nothing_is_trained_on_no_chats(tmp_path: Path, model: Path, cache: Path) -> None:
    with pytest.raises(UsageError, match="nothing to train tiny on"):
        run(plan(tmp_path, model, train=()), cache)


@pytest.mark.usefixtures("exact")
@pytest.mark.parametrize("tied", [False, True])
def test_full_fine_tuning_gives_a_whole_model(tmp_path: Path, cache: Path, tied: bool) -> None:
    model = tiny_model(tmp_path / "tiny.gguf", "llama", tied=tied)
    held = Service(nice=0)
    made = plan(tmp_path, model, base_sha256=f"full-{tied}", full=True, rate=1e-3, held_out=())
    done = trained(run(made, cache, service=held))
    assert done.facts["losses"][-1] < 0.7 * done.facts["losses"][0]
    ids = ids_of(done.path, PROMPT + INVOCATION)
    wanted = peft_logits(held, ids)
    found = llama_logits(done.path, ids)
    # Q8_0 keeps 8 bits of each weight, and llama.cpp multiplies them with activations of 8 bits.
    assert abs(found - wanted).max() < 0.1 * abs(wanted).max()
    assert abs(llama_logits(model, ids) - wanted).max() > 0.2 * abs(wanted).max()


def test_the_rate_warms_up_and_falls_to_nothing(tmp_path: Path) -> None:
    made = plan(tmp_path, Path("x"), steps=12, warm_up=2)
    parts = [loop.slope(step, made) for step in range(12)]
    assert parts[:3] == [0.5, 1.0, 1.0]
    assert parts[2:] == sorted(parts[2:], reverse=True)
    assert math.isclose(parts[-1], 0.1)
    assert loop.slope(0, replace(made, warm_up=0)) == 1.0
