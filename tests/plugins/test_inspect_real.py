"""Inspecting the real model: known facts of Qwen2.5 0.5B, the tokens of a prompt, the probabilities of an answer."""

from __future__ import annotations

from pathlib import Path

import chatapp_inspect
from chatapp import Data
from tests.plugins.real import collect, real_session, sampled, text_of, usage_of
from tests.support_plugins import run


async def test_the_architecture_of_the_real_model(tmp_path: Path, model_path: Path) -> None:
    async with real_session(tmp_path, model_path) as session:
        session.host.add("inspect", chatapp_inspect)
        (shown,) = await run(session, "/inspect")
        assert isinstance(shown, Data)
        shape = shown.value["shape"]
        assert shape["architecture"] == "qwen2"
        assert (shape["layers"], shape["heads"], set(shape["kv_heads"]), shape["key_size"]) == (24, 14, {2}, 64)
        assert (shape["embedding"], shape["feed_forward"], shape["context"]) == (896, 4864, 32_768)
        assert (shape["rope_base"], shape["vocabulary"], shape["experts"]) == (1_000_000, 151_936, 0)
        assert sum(each["tensors"] for each in shown.value["types"]) == 291
        weights = sum(each["bytes"] for each in shown.value["types"])
        assert 0.95 < weights / model_path.stat().st_size < 1
        # 24 layers x 2 heads x (64 + 64) numbers x 2 bytes x 32,768 tokens
        assert "402.7 MB" in shown.text
        assert "Grouped-query attention: 7 heads share" in shown.text
        assert session.host.engines.current() is None


async def test_tokens_and_probabilities_of_a_real_answer(tmp_path: Path, model_path: Path) -> None:
    async with real_session(tmp_path, model_path) as session:
        session.host.add("inspect", chatapp_inspect)
        sampled(session, max_tokens=12, temperature=0.8, seed=3)
        await run(session, "/inspect on")
        events = await collect(session.send("Name a colour and a fruit."))
        (prompt,) = await run(session, "/inspect tokens")
        (answer,) = await run(session, "/inspect answer")
        (model,) = await run(session, "/inspect")
        assert isinstance(prompt, Data)
        assert isinstance(answer, Data)
        assert isinstance(model, Data)
        assert prompt.value["total"] == usage_of(events).prompt_tokens
        asked = prompt.value["messages"][-1]
        assert "Name a colour and a fruit." in "".join(asked["tokens"])
        assert "<|im_start|>" in asked["tokens"]
        assert "".join(each["token"] for each in answer.value).startswith(text_of(events))
        for each in answer.value:
            chances = [chance for _, chance in each["alternatives"]]
            assert 0 < each["probability"] <= 1
            assert len(chances) == 5
            assert chances == sorted(chances, reverse=True)
            assert sum(chances) <= 1 + 1e-9
        # The context the engine has opened: 4,096 tokens.
        assert "50.3 MB" in model.text
