"""Activated adapters: what was read stays, also when they are switched, and what they wrote is read again without."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from chatapp import Adapter, Message, Request, Sampling, TextDelta, assistant, user
from chatapp_llama.engine import LlamaEngine
from tests.plugins.adapters import write_adapter
from tests.plugins.adapting import Answer, ask, lay, opened
from tests.plugins.tiny_gguf import INVOCATION, write_model

pytestmark = pytest.mark.asyncio(loop_scope="module")
FIRST = user("Which colours are there, and which of them do you like best?")
SECOND = user("And which do you like least?")


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Adapter]:
    """A tiny model's adapters: "plain" is ordinary, "red" and "blue" begin with an answer, "marked" with a word."""
    folder = tmp_path_factory.mktemp("adapters")
    model = write_model(folder / "model.gguf")
    calls = {"plain": (), "red": INVOCATION, "blue": INVOCATION, "marked": tuple(b"MARK")}
    return {
        name: Adapter(
            name, str(write_adapter(folder / f"{name}.gguf", model, scale=0.3, seed=seed, invocation=invocation))
        )
        for seed, (name, invocation) in enumerate(calls.items(), 1)
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(adapters: dict[str, Adapter]) -> AsyncIterator[LlamaEngine]:
    """One engine for all of this file."""
    async with opened(Path(adapters["red"].path).with_name("model.gguf")) as made:
        yield made


async def fresh(engine: LlamaEngine, *messages: Message, adapters: tuple[Adapter, ...]) -> Answer:
    """What an engine says that has read nothing before."""
    async with opened(Path(engine.config.model), *adapters) as new:
        return await ask(new, *messages)


async def test_switching_reads_only_what_begins_the_answer(engine: LlamaEngine, adapters: dict[str, Adapter]) -> None:
    red, blue, plain = adapters["red"], adapters["blue"], adapters["plain"]
    await lay(engine)
    answers = [await ask(engine, FIRST)]
    for mix in ((red,), (blue,), (red, blue), ()):
        await engine.settled()
        await lay(engine, *mix)
        answers.append(await ask(engine, FIRST))
        # What begins the answer; the model by itself finds even that, as it was read again after the last answer.
        assert answers[-1].usage.evaluated_tokens == (len(INVOCATION) if mix else 1), mix
        assert answers[-1].like(await fresh(engine, FIRST, adapters=mix)), mix
    assert answers[0].like(answers[-1])
    assert len({answer.text for answer in answers}) == 4
    # Beside an ordinary one, only the part that both have in common is kept.
    await lay(engine, plain)
    assert (await ask(engine, FIRST)).usage.reused_tokens == 0
    await lay(engine, plain, red)
    both = await ask(engine, FIRST)
    assert both.usage.evaluated_tokens == len(INVOCATION)
    assert both.like(await fresh(engine, FIRST, adapters=(plain, red)))


async def test_the_next_question_finds_the_answer_read_as_it_wants_it(
    engine: LlamaEngine, adapters: dict[str, Adapter]
) -> None:
    for settle in (True, False):
        await lay(engine)
        await ask(engine, user("Something else."))
        await lay(engine, adapters["red"])
        first = await ask(engine, FIRST)
        if settle:
            # Counting comes between: it is made way for, and what was begun goes on afterwards.
            await engine.count_tokens(["some text"])
            await engine.settled()
        await lay(engine, adapters["blue"])
        talk = FIRST, assistant(first.text), SECOND
        second = await ask(engine, *talk)
        written = first.usage.prompt_tokens + first.usage.completion_tokens
        before = first.usage.prompt_tokens - len(INVOCATION)
        assert second.usage.reused_tokens == (written if settle else before)
        assert second.like(await fresh(engine, *talk, adapters=(adapters["blue"],)))


async def test_reading_ahead_is_paused_while_others_are_waited_for(
    engine: LlamaEngine, adapters: dict[str, Adapter]
) -> None:
    await lay(engine, adapters["red"])
    first = await ask(engine, FIRST)
    child = psutil.Process(engine.pid)
    with engine._worker._workers.foreground():
        while child.status() != psutil.STATUS_STOPPED:  # noqa: ASYNC110 - a paused process sets no event
            await asyncio.sleep(0.01)
    await engine.settled()
    second = await ask(engine, FIRST, assistant(first.text), SECOND)
    assert second.usage.reused_tokens == first.usage.prompt_tokens + first.usage.completion_tokens


async def test_an_answer_that_was_stopped_is_read_again_too(engine: LlamaEngine, adapters: dict[str, Adapter]) -> None:
    await lay(engine, adapters["red"])
    seen = ""
    async with aclosing(engine.stream(Request((FIRST,), Sampling(temperature=0.0, max_tokens=600)))) as events:
        async for event in events:
            seen += event.text if isinstance(event, TextDelta) else ""
            if len(seen) > 20:
                break
    await engine.settled()
    second = await ask(engine, FIRST, assistant(seen), SECOND)
    prompt = second.usage.spans[0][1] + len("\n") + len(INVOCATION)
    # The child may have read a token or more beyond what was seen; what was seen is kept.
    assert prompt + len(seen) <= second.usage.reused_tokens + 1 <= second.usage.prompt_tokens
    assert second.like(await fresh(engine, FIRST, assistant(seen), SECOND, adapters=(adapters["red"],)))


async def test_without_its_invocation_an_adapter_stays_off_and_says_so(
    engine: LlamaEngine, adapters: dict[str, Adapter]
) -> None:
    await lay(engine)
    base = await ask(engine, FIRST)
    assert base.notices == ()
    await lay(engine, adapters["marked"])
    off = await ask(engine, FIRST)
    assert off.notices == ("marked stays off: it is switched on by the text 'MARK', which this prompt has not.",)
    assert off.like(base)
    assert off.usage.reused_tokens == off.usage.prompt_tokens - 1


async def test_a_word_of_the_user_switches_on_from_there_also_for_what_follows(
    engine: LlamaEngine, adapters: dict[str, Adapter]
) -> None:
    marked = user("Which colours? MARK And which of them do you like?")
    await lay(engine)
    await ask(engine, marked)
    await lay(engine, adapters["marked"], adapters["red"])
    first = await ask(engine, marked)
    assert first.notices == ()
    assert first.usage.reused_tokens == len("M") + len("user\nWhich colours? ")
    assert first.like(await fresh(engine, marked, adapters=(adapters["marked"], adapters["red"])))
    await engine.settled()
    # The one stays on, as the word still stands there, the other is off until the next answer begins.
    talk = marked, assistant(first.text), SECOND
    second = await ask(engine, *talk)
    assert second.usage.reused_tokens == first.usage.prompt_tokens + first.usage.completion_tokens
    assert second.like(await fresh(engine, *talk, adapters=(adapters["marked"], adapters["red"])))


async def test_with_a_seed_a_switch_gives_the_same_text_as_before(
    engine: LlamaEngine, adapters: dict[str, Adapter]
) -> None:
    long = user("Which colours are there? " * 20)
    texts = []
    for name in ("red", "blue", "red", "blue"):
        await lay(engine, adapters[name])
        texts.append((await ask(engine, long, seed=3)).logprobs)
    assert texts[:2] == texts[2:]
    assert texts[0] != texts[1]


async def test_a_model_that_cannot_forget_a_part_reads_all_again(tmp_path: Path) -> None:
    model = write_model(tmp_path / "mamba.gguf", "mamba")
    adapter = Adapter(
        "ahead", str(write_adapter(tmp_path / "a.gguf", model, targets=("ssm_in",), scale=0.3, invocation=INVOCATION))
    )
    async with opened(model) as engine:
        base = await ask(engine, FIRST)
        await lay(engine, adapter)
        assert (await engine.examine(adapter)).targets == ("ssm_in",)
        first = await ask(engine, FIRST)
        assert first.usage.reused_tokens == 0
        assert first.like(await fresh(engine, FIRST, adapters=(adapter,)))
        assert not first.like(base)
        await engine.settled()
        talk = FIRST, assistant(first.text), SECOND
        second = await ask(engine, *talk)
        # Read ahead in the background: all of the conversation, as the next prompt wants it.
        assert second.usage.reused_tokens == first.usage.prompt_tokens + first.usage.completion_tokens
        assert second.like(await fresh(engine, *talk, adapters=(adapter,)))
