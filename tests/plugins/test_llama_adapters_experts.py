"""A mixture-of-experts model: it answers, takes adapters, and /inspect says how many experts it has."""

from __future__ import annotations

from pathlib import Path

from chatapp import Adapter, read_gguf, user
from chatapp_inspect import facts
from tests.plugins.adapters import write_adapter
from tests.plugins.adapting import ask, lay, opened
from tests.plugins.tiny_gguf import EXPERTS, write_model

QUESTION = user("Which colours are there?")


async def test_a_mixture_of_experts_answers_and_takes_adapters(tmp_path: Path) -> None:
    model = write_model(tmp_path / "experts.gguf", "llama")
    same = write_model(tmp_path / "same.gguf", "llama")
    for target in ("attn_q", "ffn_gate_inp"):
        write_adapter(tmp_path / f"{target}.gguf", model, targets=(target,), scale=0.3)
    async with opened(model) as engine, opened(same) as other:
        first = await ask(engine, QUESTION)
        assert len(first.text) == first.usage.completion_tokens == 12
        assert first.text == (await ask(other, QUESTION)).text
        assert engine.info.details["metadata"]["llama.expert_count"] == str(EXPERTS)
        for target in ("attn_q", "ffn_gate_inp"):
            await lay(engine, Adapter(target, str(tmp_path / f"{target}.gguf")))
            assert not (await ask(engine, QUESTION)).like(first), target


def test_experts_are_shown(tmp_path: Path) -> None:
    head = read_gguf(write_model(tmp_path / "experts.gguf", "llama"))
    shown = {fact.name: fact.value for fact in facts.facts(head, 0)}
    assert shown["experts"] == f"{EXPERTS}, 2 used per token"
    plain = read_gguf(write_model(tmp_path / "plain.gguf"))
    assert "experts" not in {fact.name for fact in facts.facts(plain, 0)}
