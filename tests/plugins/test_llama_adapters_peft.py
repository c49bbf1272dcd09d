"""The numbers under an adapter are PEFT's, also those under an activated one: from its first token on."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chatapp import Adapter, assistant, read_gguf, user
from tests.plugins.adapters import write_factors
from tests.plugins.adapting import ask, lay, opened
from tests.plugins.tiny_gguf import HEADS, INNER, INVOCATION, LAYERS, VOCABULARY, WIDTH, write_model

TALK = user("Name a colour."), assistant("Blue."), user("And one more?")
PROMPT = "".join(f"\x01{message.role}\n{message.text}\x02\n" for message in TALK) + "\x01assistant\n"
"""As ChatML, with the control tokens as two characters that nothing else has."""
IDS = [{1: 257, 2: 258}.get(byte, byte) for byte in PROMPT.encode()]

MAKE = """
import sys, json, numpy as np, torch
from transformers import Qwen2Config, Qwen2ForCausalLM
from peft import LoraConfig, get_peft_model

vocabulary, width, inner, layers, heads = json.loads(sys.argv[2])
ids, invocation = json.loads(sys.argv[3])
torch.manual_seed(0)
model = Qwen2ForCausalLM(Qwen2Config(
    vocab_size=vocabulary, hidden_size=width, intermediate_size=inner, num_hidden_layers=layers,
    num_attention_heads=heads, num_key_value_heads=heads // 2, max_position_embeddings=4096, rope_theta=10000.0,
    rms_norm_eps=1e-6, tie_word_embeddings=False, initializer_range=0.2,
)).eval()
made = {"weight " + name: value.detach().numpy().copy() for name, value in model.state_dict().items()}
ids = torch.tensor([ids])
with torch.no_grad():
    made["base"] = model(ids).logits[0, -1].numpy()
    for name, more in (("ordinary", {}), ("activated", {"alora_invocation_tokens": invocation})):
        torch.manual_seed(1)
        adapted = get_peft_model(model, LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "v_proj"],
                                                   init_lora_weights=False, task_type="CAUSAL_LM", **more))
        made[name] = adapted(input_ids=ids).logits[0, -1].numpy()
        made |= {"factor " + key: value.numpy().copy() for key, value in adapted.state_dict().items() if "lora_" in key}
        model = adapted.unload()
np.savez(sys.argv[1], **made)
"""

NAMES = {
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
    "model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output",
}  # fmt: skip


def named(key: str) -> str:
    """The name a weight of transformers has in a GGUF."""
    for theirs, ours in NAMES.items():
        key = key.replace(theirs, ours)
    return key.replace("model.layers.", "blk.")


@pytest.fixture(scope="module")
def peft(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A tiny model of transformers, an adapter of PEFT, and the logits after the prompt."""
    if find_spec("peft") is None:
        pytest.skip("peft is not installed: pip install 'chatapp[lora]'")
    path = tmp_path_factory.mktemp("peft") / "made.npz"
    sizes, ids = [VOCABULARY, WIDTH, INNER, LAYERS, HEADS], [IDS, list(INVOCATION)]
    command = [sys.executable, "-W", "ignore", "-c", MAKE, str(path), str(sizes), str(ids)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(path) as made:
        return dict(made)


def ranked(logits: Any) -> Any:
    """Log probabilities from the likeliest on."""
    shifted = logits.astype(np.float64) - logits.max()
    return np.sort(shifted - np.log(np.exp(shifted).sum()))[::-1]


async def test_logits_are_pefts(peft: dict[str, Any], tmp_path: Path) -> None:
    weights = {named(key[7:]): value for key, value in peft.items() if key.startswith("weight ")}
    model = write_model(tmp_path / "model.gguf", weights=weights)
    pairs = {
        f"blk.{layer}.{name}": tuple(
            peft[f"factor base_model.model.model.layers.{layer}.self_attn.{theirs}.lora_{which}.default.weight"]
            for which in "AB"
        )
        for layer in range(LAYERS)
        for name, theirs in (("attn_q", "q_proj"), ("attn_v", "v_proj"))
    }

    def adapter(name: str, *invocation: int) -> Adapter:
        path = tmp_path / f"{name}.gguf"
        return Adapter(name, str(write_factors(path, read_gguf(model), pairs, 8.0, invocation)))

    async with opened(model) as engine:

        async def gap(expected: str, *adapters: Adapter) -> float:
            await lay(engine, *adapters)
            (found,) = (await ask(engine, *TALK, tokens=1, top=VOCABULARY)).logprobs
            return float(np.abs(np.array(found) - ranked(peft[expected])).max())

        ordinary, activated = adapter("ordinary"), adapter("activated", *INVOCATION)
        close = await gap("base"), await gap("ordinary", ordinary), await gap("activated", activated)
        assert max(close) < 0.02, close
        # One token earlier or later, or everywhere, is plainly something else.
        others = adapter("earlier", ord("\n"), *INVOCATION), adapter("later", *INVOCATION[1:]), ordinary
        far = [await gap("activated", other) for other in others]
        assert min(far) > 5 * max(close), (close, far)
