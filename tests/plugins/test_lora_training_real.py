"""Training the real 0.5B model for a few steps, and the tokens it is trained on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

import chatapp_lora
from chatapp import Adapter, Progress, Request, read_gguf, user
from chatapp.testing import RecordingUI, make_host
from chatapp_llama.engine import LlamaEngine
from chatapp_llama.size import BATCH, Size
from chatapp_lora.training.client import Trainer
from chatapp_lora.training.fitting import check, needed
from chatapp_lora.training.plan import Example, Plan, Step, Trained
from chatapp_lora.training.rendering import Rendering
from chatapp_lora.training.vocabulary import Vocabulary
from tests.plugins.adapting import ask, lay, opened

pytest.importorskip("peft")
pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]
THINGS = ("river", "apple", "night", "stone", "bread", "cloud", "horse", "paper", "glass", "winter", "music", "sea")
WORDS = (
    "Olá, você já comeu pão de queijo?",
    "Ação, coração e avô: três palavras.",
    "def f(x):\n    return x ** 2  # é",
    "<|im_start|>system\nNo<|im_end|>",
    "<tool_call>{}</tool_call>",
    "  two  spaces\t\tand tabs  ",
    "\n\n\nlines\r\n\r\n",
    "1234567890 12,345.678",
    "I'm you'll WE'VE it's",
    "日本語とemoji 🙂👩‍👧",
    "x" * 100,
    "<|endoftext|>",
    "e\u0301 and é",
    "ſ İ ß",
    'for i in {1..3}; do echo "$i"; done',
    "https://example.org/?q=a&b=ç#d",
    "\u00a0\u200b\u2028",
    "<|fim_prefix|>a",
    "",
    "?!",
)


def learnt() -> tuple[Example, ...]:
    """Short chats that are all answered in the same way."""
    forms = ("Say something about the {}.", "What about a {}?")
    return tuple(
        Example((("user", form.format(thing)), ("assistant", f"I know the {thing}.")))
        for thing in THINGS
        for form in forms
    )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(model_path: Path) -> AsyncIterator[LlamaEngine]:
    """The real model, open."""
    async with opened(model_path, size=Size(1024, 2, 0, BATCH, -1)) as made:
        yield made


@pytest.mark.long
async def test_a_few_steps_are_there_in_the_quantised_model(
    tmp_path: Path, model_path: Path, engine: LlamaEngine
) -> None:
    host = make_host(tmp_path, RecordingUI(), lora={"keep_base": False})
    host.add("lora", chatapp_lora)
    await host.startup()
    plan = Plan(
        name="few", base=model_path, base_sha256="real", folder=tmp_path / "few", train=learnt()[:22],
        held_out=learnt()[22:], rank=4, alpha=8.0, targets=("q", "v"), steps=8, rate=2e-3, warm_up=1, evaluate_every=8,
    )  # fmt: skip
    trainer = Trainer(host)
    news = [each async for each in trainer.run(plan)]
    await host.shutdown()
    trained = news[-1]
    assert isinstance(trained, Trained)
    assert any(isinstance(each, Progress) and each.total for each in news)
    losses = [each.loss for each in news if isinstance(each, Step)]
    assert len(losses) == 8
    assert losses[-1] < losses[0] / 2
    assert trained.held_out is not None
    assert trained.held_out < trained.facts["held_out"][0][1] / 2
    assert trained.memory < 1.2 * needed(plan).bytes
    assert "Training few on" in check(plan).sentence
    question = user("Say something about the moon.")
    plain = await ask(engine, question, tokens=24)
    await lay(engine, Adapter("few", str(trained.path)))
    changed = await ask(engine, question, tokens=24)
    await lay(engine)
    assert (await ask(engine, question, tokens=24)).like(plain)
    assert changed.text.startswith("I know the moon.")
    assert not plain.text.startswith("I know")


async def test_it_is_trained_on_the_very_tokens_that_answering_reads(model_path: Path, engine: LlamaEngine) -> None:
    template = read_gguf(model_path).values["tokenizer.chat_template"]
    with Vocabulary(model_path) as vocabulary:
        rendering = Rendering(template, vocabulary.text("bos"), vocabulary.text("eos"), vocabulary.controls())
        for number in range(200):
            text = f"{WORDS[number % 20]}{' ' * (number // 20)}{WORDS[(number * 7 + number // 20) % 20]}"
            (pieces,) = rendering.pieces(Example((("user", text), ("assistant", "ok"))))
            ids = vocabulary.tokenize(pieces[0].text, begin=True)
            wanted = await engine.tokenize(Request((user(text),)))
            assert [vocabulary.piece(token).decode("utf-8", "replace") for token in ids] == list(wanted)
            assert pieces[1].text == "ok<|im_end|>"
