"""Adapters over an open model: what is laid on, and that nothing read under one mix is used under another."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chatapp import Adapter, AdapterFacts, AdaptingEngine, EngineConfig, EngineError, Message, assistant, user
from chatapp_llama.engine import LlamaEngine
from tests.plugins.adapters import write_adapter
from tests.plugins.adapting import Answer, ask, lay, opened
from tests.plugins.tiny_gguf import INVOCATION, write_model

pytestmark = pytest.mark.asyncio(loop_scope="module")
QUESTION = user("Which colours are there, and which of them do you like best?")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model, two ordinary adapters for it, and two activated ones."""
    made = tmp_path_factory.mktemp("adapters")
    model = write_model(made / "model.gguf")
    for seed, name in enumerate(("one", "two", "three", "four")):
        write_adapter(made / f"{name}.gguf", model, scale=0.3, seed=seed + 1, invocation=INVOCATION if seed > 1 else ())
    return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(folder: Path) -> AsyncIterator[LlamaEngine]:
    """One engine for all of this file."""
    async with opened(folder / "model.gguf") as made:
        yield made


@pytest.fixture(scope="module")
def one(folder: Path) -> Adapter:
    """An ordinary adapter."""
    return Adapter("one", str(folder / "one.gguf"))


@pytest.fixture(scope="module")
def two(folder: Path) -> Adapter:
    """Another ordinary adapter, half as strong."""
    return Adapter("two", str(folder / "two.gguf"), 0.5)


@pytest.fixture(scope="module")
def three(folder: Path) -> Adapter:
    """An activated adapter."""
    return Adapter("three", str(folder / "three.gguf"))


async def fresh(engine: LlamaEngine, *messages: Message, adapters: tuple[Adapter, ...]) -> Answer:
    """What an engine says that has read nothing before."""
    async with opened(Path(engine.config.model), *adapters) as new:
        return await ask(new, *messages)


async def test_the_engine_says_what_it_can_and_what_an_adapter_is(engine: LlamaEngine, three: Adapter) -> None:
    assert isinstance(engine, AdaptingEngine)
    assert "adapters" in engine.info.features
    size = Path(three.path).stat().st_size
    expected = AdapterFacts(4, 8.0, ("attn_q", "attn_v"), size, "qwen2", INVOCATION, "<|im_start|>assistant\n")
    assert await engine.examine(three) == expected
    assert engine.info.details["adapters"] == []


async def test_examining_keeps_what_was_read(engine: LlamaEngine, folder: Path, one: Adapter) -> None:
    await lay(engine)
    before = await ask(engine, QUESTION)
    new = write_adapter(folder / "new.gguf", folder / "model.gguf", scale=0.3, seed=9)
    await engine.examine(Adapter("new", str(new)))
    after = await ask(engine, QUESTION)
    assert after.like(before)
    assert after.usage.reused_tokens == after.usage.prompt_tokens - 1


async def test_a_mix_is_laid_on_without_loading(engine: LlamaEngine, one: Adapter, two: Adapter) -> None:
    await ask(engine, QUESTION)
    pid = engine.pid
    await lay(engine, one, two)
    assert engine.pid == pid
    assert engine.info.details["adapters"] == [
        {"name": "one", "path": one.path, "scale": 1.0, "invocation_text": ""},
        {"name": "two", "path": two.path, "scale": 0.5, "invocation_text": ""},
    ]
    assert not await engine.tune(EngineConfig("another", adapters=(one,)))
    assert not await engine.tune(EngineConfig(engine.config.model, threads=7))
    assert engine.config.adapters == (one, two)


async def test_nothing_read_under_one_mix_is_used_under_another(
    engine: LlamaEngine, one: Adapter, two: Adapter
) -> None:
    await lay(engine)
    answers = [await ask(engine, QUESTION)]
    for adapters in ((one,), (two,), (one, two), (two, one), (), (Adapter("one", one.path, 0.5),)):
        await lay(engine, *adapters)
        answers.append(await ask(engine, QUESTION))
        assert answers[-1].like(await fresh(engine, QUESTION, adapters=adapters)), adapters
    # The order of a mix does not matter; each other mix says something of its own.
    assert answers[3].like(answers[4])
    assert answers[0].like(answers[5])
    assert len({answer.text for answer in answers}) == 5


async def test_what_was_read_under_the_same_mix_is_used(engine: LlamaEngine, one: Adapter, two: Adapter) -> None:
    await lay(engine, one, two)
    first = await ask(engine, QUESTION)
    await lay(engine, two, one)
    again = await ask(engine, QUESTION)
    assert again.usage.reused_tokens == again.usage.prompt_tokens - 1
    assert again.like(first)
    more = await ask(engine, QUESTION, assistant(first.text), user("And what else?"))
    assert more.usage.reused_tokens == first.usage.prompt_tokens + first.usage.completion_tokens


async def test_an_engine_opens_with_adapters_and_lays_them_on_again_after_it_died(
    engine: LlamaEngine, one: Adapter
) -> None:
    await lay(engine, one)
    before = await ask(engine, QUESTION)
    pid = engine.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while engine.pid == pid:  # noqa: ASYNC110 - the end of a process sets no event
        await asyncio.sleep(0.01)
    after = await ask(engine, QUESTION)
    assert engine.pid not in (None, pid)
    assert after.like(before)
    assert after.like(await fresh(engine, QUESTION, adapters=(one,)))
    assert [each["name"] for each in engine.info.details["adapters"]] == ["one"]


async def test_a_file_that_changed_is_read_again(engine: LlamaEngine, folder: Path) -> None:
    model, path = folder / "model.gguf", folder / "changing.gguf"
    changing = Adapter("changing", str(write_adapter(path, model, scale=0.3, seed=11)))
    await lay(engine, changing)
    before = await ask(engine, QUESTION)
    write_adapter(path, model, scale=0.3, seed=12)
    after = await ask(engine, QUESTION)
    assert after.text != before.text
    assert after.like(await fresh(engine, QUESTION, adapters=(changing,)))
    path.unlink()
    with pytest.raises(EngineError, match=r"changing cannot be read from .*: add it again\."):
        await ask(engine, QUESTION)
    await lay(engine)
    assert await ask(engine, QUESTION)


@pytest.mark.parametrize(
    ("adapters", "sentence"),
    [
        ((Adapter("ghost", ""),), "No plugin knows an adapter called ghost: `/lora` lists them."),
        ((Adapter("one", "a"), Adapter("one", "b")), "one is laid over the model twice: name each adapter once."),
        ((Adapter("one", "a", float("nan")),), "The scale of one is nan: it must be a number from -10 to 10."),
        ((Adapter("one", "a", 11.0),), "The scale of one is 11: it must be a number from -10 to 10."),
    ],
)
async def test_a_mix_that_cannot_be_is_one_sentence(
    engine: LlamaEngine, adapters: tuple[Adapter, ...], sentence: str
) -> None:
    before = engine.config
    with pytest.raises(EngineError) as caught:
        await lay(engine, *adapters)
    assert str(caught.value) == sentence
    assert engine.config == before
    async with opened(Path(engine.config.model), *adapters) as new:
        with pytest.raises(EngineError, match=adapters[0].name):
            await new.count_tokens(["a"])
    assert await ask(engine, QUESTION)


@pytest.mark.parametrize("target", ["Unchecked", "Falling"])
async def test_an_adapter_that_crashes_llama_cpp_is_named_until_it_is_off(folder: Path, target: str) -> None:
    # Unchecked, this alpha ends the process while the file is loaded; the other service ends in mid-answer.
    wrong: dict[str, Any] = {"values": {"adapter.lora.alpha": "8"}} if target == "Unchecked" else {}
    path = write_adapter(folder / "crashing.gguf", folder / "model.gguf", scale=0.3, **wrong)
    crashing = Adapter("crashing", str(path))
    async with opened(folder / "model.gguf", target=f"tests.plugins.llama_services:{target}") as engine:
        before = await ask(engine, QUESTION)
        for _ in range(2):
            with pytest.raises(EngineError) as caught:
                await _use(engine, crashing)
            assert str(caught.value) == "crashing made llama.cpp crash: remove it with /lora rm crashing."
        assert engine.pid is None
        await lay(engine)
        assert (await ask(engine, QUESTION)).like(before)


async def _use(engine: LlamaEngine, adapter: Adapter) -> None:
    await lay(engine, adapter)
    await ask(engine, QUESTION)
