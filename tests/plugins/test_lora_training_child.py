"""Training in the child process: told step by step, stopped, killed, and taken up again."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import psutil
import pytest

import chatapp_lora
from chatapp import EngineError, Host, Progress, read_gguf
from chatapp.testing import RecordingUI, make_host
from chatapp_lora.training import client
from chatapp_lora.training.client import Trainer
from chatapp_lora.training.export import AdapterHead, write_adapter
from chatapp_lora.training.plan import Step, Trained
from tests.plugins.lora_runs import factors, plan
from tests.plugins.tiny_lora import tiny_model

pytest.importorskip("peft")


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    made = make_host(tmp_path, RecordingUI())
    made.add("lora", chatapp_lora)
    await made.startup()
    yield made
    await made.shutdown()


@pytest.mark.long
async def test_it_is_stopped_killed_and_comes_to_the_very_same_end(tmp_path: Path, host: Host) -> None:
    model = tiny_model(tmp_path / "tiny.gguf")
    trainer = Trainer(host)
    # Long enough that the child cannot come to the end before it hears of the stop.
    long = {"steps": 200, "evaluate_every": 100}
    whole = [each async for each in trainer.run(plan(tmp_path / "whole", model, **long))]
    assert isinstance(whole[-1], Trained)
    assert {each.label for each in whole if isinstance(each, Progress)} >= {
        "Reading the chats",
        "Reading the base model",
        "Unpacking the base model",
    }
    made = plan(tmp_path / "parts", model, **long)
    child = trainer.pid
    done = await _until(trainer, made, 3)
    # A stop waits until the state is written, and the child keeps the model for going on.
    assert (made.folder / "state.safetensors").is_file()
    assert trainer.pid == child
    with pytest.raises(
        EngineError, match=r"The training of tiny was cut off \(.*SIGKILL.*\): start it again and it goes"
    ):
        await _until(trainer, made, done + 2, kill=True)
    rest = [each async for each in trainer.run(made)]
    assert trainer.pid != child
    assert isinstance(rest[-1], Trained)
    assert rest[-1].path.read_bytes() == whole[-1].path.read_bytes()
    assert rest[-1].facts["losses"] == whole[-1].facts["losses"]
    assert next(each for each in rest if isinstance(each, Step)).step > done
    await trainer.close()
    assert trainer.pid is None


async def _until(trainer: Trainer, made: Any, step: int, *, kill: bool = False) -> int:
    """Train up to a step, then stop, or kill the child and go on listening; the last step."""
    last = 0
    async with aclosing(trainer.run(made)) as news:
        async for each in news:
            last = each.step if isinstance(each, Step) else last
            if last >= step and not kill:
                break
            if last >= step and trainer.pid:
                assert psutil.Process(trainer.pid).nice() == 19
                os.kill(trainer.pid, signal.SIGKILL)
    return last


async def test_adapters_are_merged_in_the_child(tmp_path: Path, host: Host) -> None:
    model = tiny_model(tmp_path / "tiny.gguf")
    write_adapter(tmp_path / "a.gguf", factors(0), AdapterHead("a", 8.0, "tiny"), read_gguf(model))
    worker = host.workers.add("merging", "chatapp_lora.training.merger:Merger")
    laid = [(tmp_path / "a.gguf", 0.5)]
    news = [each async for each in worker.stream("merge", model, laid, tmp_path / "out.gguf")]
    assert news[-1].done == news[-1].total == len(read_gguf(model).tensors)
    assert read_gguf(tmp_path / "out.gguf").values["chatapp.note"] == "With the LoRA adapters a at 0.5 merged."
    with pytest.raises(EngineError, match="nothing to merge"):
        _ = [each async for each in worker.stream("merge", model, [], tmp_path / "not.gguf")]
    await worker.close()


async def test_what_is_missing_is_said(tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LIBRARIES", ("chatapp", "no_such_library"))
    trainer = Trainer(host)
    with pytest.raises(EngineError, match="no_such_library, which training needs, is not installed"):
        _ = [each async for each in trainer.run(plan(tmp_path, tmp_path))]
    assert trainer.pid is None
