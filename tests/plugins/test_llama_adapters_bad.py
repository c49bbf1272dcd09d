"""Files that are no adapter for the open model: each is refused in a sentence, and none brings the child down."""

from __future__ import annotations

import math
import random
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from chatapp import Adapter, EngineConfig, EngineError, read_gguf, user
from chatapp_llama.engine import LlamaEngine
from tests.plugins.adapters import write_adapter
from tests.plugins.adapting import Answer, ask, lay, opened
from tests.plugins.tiny_gguf import INVOCATION, LAYERS, VOCABULARY, WIDTH, write_model

pytestmark = pytest.mark.asyncio(loop_scope="module")
QUESTION = user("Which colours are there?")
Write = Callable[..., Path]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model."""
    return write_model(tmp_path_factory.mktemp("model") / "model.gguf")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(model: Path) -> AsyncIterator[LlamaEngine]:
    """One engine for all of this file: what is bad must not harm the next."""
    async with opened(model) as made:
        yield made


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "other byte order": ({"big": True}, "is written for a machine of the other byte order"),
    "whole model": ({"values": {"general.type": "model"}}, "not an adapter: choose a GGUF LoRA adapter"),
    "other type": ({"values": {"adapter.type": "control-vector"}}, "of another type than LoRA"),
    "other architecture": ({"values": {"general.architecture": "llama"}}, "is for models of the architecture 'llama'"),
    "alpha missing": ({"values": {"adapter.lora.alpha": None}}, "does not say its alpha as a 32-bit float"),
    "alpha as text": ({"values": {"adapter.lora.alpha": "8"}}, "does not say its alpha as a 32-bit float"),
    "alpha as a whole number": ({"values": {"adapter.lora.alpha": 8}}, "does not say its alpha as a 32-bit float"),
    "alpha not a number": ({"alpha": math.nan}, "has the alpha nan"),
    "alpha zero": ({"alpha": 0.0}, "has the alpha 0"),
    "whole numbers": ({"dtype": np.int32}, "has weights of the type I32"),
    "doubles": ({"dtype": np.float64}, "has weights of the type F64"),
    "not a number": ({"fill": math.nan}, "no numbers, or far too large"),
    "infinite": ({"fill": math.inf, "dtype": np.float16}, "no numbers, or far too large"),
    "huge": ({"fill": 1e30}, "no numbers, or far too large"),
    "nothing": ({"scale": 0.0}, "changes nothing"),
    "norm": (
        {"extra": {"blk.0.attn_norm.weight": np.ones(WIDTH, np.float32)}},
        "changes blk.0.attn_norm.weight, which",
    ),
    "bias": ({"extra": {"blk.0.attn_q.bias": np.ones(WIDTH, np.float32)}}, "changes blk.0.attn_q.bias, which"),
    "half a pair": ({"extra": {"blk.0.attn_k.weight.lora_a": np.ones((4, WIDTH), np.float32)}}, "only one of the two"),
    "more layers": (
        {"extra": {f"blk.{LAYERS}.attn_k.weight.lora_{x}": np.ones((4, 4), np.float32) for x in "ab"}},
        f"changes blk.{LAYERS}.attn_k, which this model does not have",
    ),
    "no weights": ({"targets": ()}, "holds no weights"),
    "foreign tokens": ({"invocation": (VOCABULARY,)}, "tokens that this model's vocabulary does not have"),
}


@pytest.mark.parametrize("kind", WRONG)
async def test_a_wrong_adapter_is_refused_with_the_reason(
    engine: LlamaEngine, model: Path, tmp_path: Path, kind: str
) -> None:
    how, sentence = WRONG[kind]
    path = write_adapter(tmp_path / "wrong.gguf", model, **how)
    await _refused(engine, path, sentence)


async def test_an_adapter_of_another_size_is_refused(engine: LlamaEngine, model: Path, tmp_path: Path) -> None:
    path = write_adapter(tmp_path / "wide.gguf", model, targets=("attn_q",))
    data = path.read_bytes().replace(struct.pack("<QQ", WIDTH, 4), struct.pack("<QQ", WIDTH // 2, 8))
    path.write_bytes(data)
    await _refused(engine, path, f"another size (its blk.0.attn_q is 32 x {WIDTH}, this model's {WIDTH} x {WIDTH})")


@pytest.mark.parametrize(
    ("how", "cut", "sentence"),
    [
        ({"fill": math.nan}, 0, "bad makes the model's numbers infinite: train it anew, or choose another."),
        ({"scale": 0.0}, 0, "bad changes nothing in the model's answers: train it, or choose another."),
        ({}, 100, "bad is refused by llama.cpp ("),
        ({"values": {"adapter.type": "other"}}, 0, "bad is refused by llama.cpp ("),
    ],
)
async def test_what_the_check_would_let_through_is_found_by_llama_cpp_or_by_trying(
    model: Path, tmp_path: Path, how: dict[str, Any], cut: int, sentence: str
) -> None:
    path = write_adapter(tmp_path / "bad.gguf", model, **how)
    path.write_bytes(path.read_bytes()[: path.stat().st_size - cut])
    async with opened(model, target="tests.plugins.llama_services:Unchecked") as engine:
        before = await ask(engine, QUESTION)
        pid = engine.pid
        with pytest.raises(EngineError) as caught:
            await lay(engine, Adapter("bad", str(path)))
        assert str(caught.value).startswith(sentence)
        assert engine.pid == pid
        after = await ask(engine, QUESTION)
        assert after.like(before)
        # Only what is not finite spoils the conversation that was read, which is read again then.
        assert (after.usage.reused_tokens == 0) == ("infinite" in sentence)


async def test_a_mix_that_breaks_the_numbers_is_refused_and_leaves_nothing_behind(
    engine: LlamaEngine, model: Path, tmp_path: Path
) -> None:
    # Values are kept in 16 bits, which hold no number above 65,504.
    path = write_adapter(tmp_path / "strong.gguf", model, targets=("attn_v",), scale=1_500.0)
    await lay(engine)
    before = await ask(engine, QUESTION)
    await lay(engine, Adapter("strong", str(path), 10.0))
    with pytest.raises(EngineError, match="make the model's numbers infinite: lower their scales"):
        await ask(engine, QUESTION)
    await lay(engine)
    assert (await ask(engine, QUESTION)).like(before)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path, "cannot be read from"),
        (lambda path: path.mkdir() or path, "is not a file"),
        (lambda path: path.touch() or path, "is empty"),
        (lambda path: path.write_text("This is no adapter.") and path, "is not a GGUF"),
    ],
)
async def test_what_is_no_gguf_is_refused(
    engine: LlamaEngine, tmp_path: Path, make: Callable[[Path], Path], sentence: str
) -> None:
    await _refused(engine, make(tmp_path / "bad.gguf"), sentence)


async def _refused(engine: LlamaEngine, path: Path, sentence: str) -> None:
    pid = engine.pid
    with pytest.raises(EngineError) as caught:
        await engine.examine(Adapter("bad", str(path)))
    told = str(caught.value)
    assert sentence in told
    assert told.startswith("bad ")
    assert told.endswith(".")
    assert "\n" not in told
    before = engine.config
    with pytest.raises(EngineError):
        await engine.tune(EngineConfig(before.model, adapters=(Adapter("bad", str(path)),)))
    assert engine.config == before
    assert engine.pid == pid or pid is None


def mutations(good: bytes, head: int, tensors: int) -> Iterator[tuple[str, bytes]]:
    """200 damaged forms of a file, the same each time: `head` bytes stand before the weights."""
    draw = random.Random(7)
    for _ in range(110):
        place = draw.randrange(head)
        yield "flip", _put(good, place, bytes([good[place] ^ 1 << draw.randrange(8)]))
    for _ in range(25):
        yield "cut", good[: draw.randrange(len(good))]
    for _ in range(20):
        # The type of a tensor stands before its place: both dimensions, the type, the offset.
        place = good.index(f"blk.{draw.randrange(LAYERS)}.attn_".encode() + draw.choice([b"q", b"v"]))
        place = good.index(b".lora_", place) + 7 + 4 + 16
        yield "type", _put(good, place, struct.pack("<I", draw.randrange(40)))
    for _ in range(20):
        yield "garbage", good[:head] + draw.randbytes(len(good) - head)
    for _ in range(15):
        place = good.index(b".lora_" + draw.choice([b"a", b"b"])) + 7 + 4
        yield "swap", _put(good, place, good[place + 8 : place + 16] + good[place : place + 8])
    for _ in range(10):
        place = draw.randrange(head, len(good) - 64)
        yield "hole", _put(good, place, draw.randbytes(64))


def _put(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new + data[place + len(new) :]


async def test_none_of_200_damaged_files_ends_the_child_or_is_taken_without_effect(
    engine: LlamaEngine, model: Path, tmp_path: Path
) -> None:
    path = write_adapter(tmp_path / "good.gguf", model, scale=0.2, invocation=INVOCATION)
    head = read_gguf(path)
    await lay(engine)
    base = await ask(engine, QUESTION, tokens=3)
    pid = engine.pid
    outcomes: Counter[str] = Counter()
    for number, (kind, data) in enumerate(mutations(path.read_bytes(), head.data, len(head.tensors))):
        damaged = tmp_path / f"{number}-{kind}.gguf"
        damaged.write_bytes(data)
        outcomes[await _outcome(engine, damaged, base)] += 1
        assert engine.pid == pid, f"{damaged.name} ended the child"
        damaged.unlink()
    await lay(engine)
    assert (await ask(engine, QUESTION, tokens=3)).like(base)
    assert sum(outcomes.values()) == 200
    assert outcomes["python"] > 100
    print(dict(outcomes))


async def _outcome(engine: LlamaEngine, path: Path, base: Answer) -> str:
    try:
        await lay(engine, Adapter("damaged", str(path)))
    except EngineError as error:
        if "refused by llama.cpp" in str(error):
            print("native:", path.name, error)
            return "native"
        if "numbers infinite" in str(error) or "model's answers" in str(error):
            print("probe:", path.name, error)
            return "probe"
        return "python"
    found = await ask(engine, QUESTION, tokens=3)
    assert all(math.isfinite(value) for token in found.logprobs for value in token), path.name
    assert found.logprobs != base.logprobs or found.notices, f"{path.name} was taken and changes nothing"
    return "taken"
