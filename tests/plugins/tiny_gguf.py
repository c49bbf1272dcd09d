"""Whole GGUF models of a few kilobytes: random weights, a vocabulary of bytes and ChatML's control tokens.

They load in milliseconds and answer nonsense, which is as good as sense where only the numbers count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

CONTROLS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
START, END = 257, 258
"""The ids of `<|im_start|>` and `<|im_end|>`."""
INVOCATION = (START, *b"assistant\n")
"""The tokens that begin an answer: the id of a byte is the byte."""
VOCABULARY = 256 + len(CONTROLS)
LAYERS, WIDTH, HEADS, INNER, EXPERTS = 2, 64, 4, 96, 4

Draw = Callable[..., Any]


def _bytes() -> list[str]:
    """The characters that stand for the 256 bytes in a byte-level vocabulary (GPT-2's table)."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in plain]
    return [chr(byte if byte in plain else 256 + rest.index(byte)) for byte in range(256)]


def write_model(
    path: Path, architecture: str = "qwen2", *, seed: int = 0, weights: Mapping[str, Any] | None = None
) -> Path:
    """A model of the architecture "qwen2", "llama" with four experts of which two answer, or "mamba" (recurrent).

    It writes small letters only and never ends an answer, unless `weights` take the place of random ones
    (by tensor name).
    """
    import gguf

    writer = gguf.GGUFWriter(path, architecture)
    writer.add_block_count(LAYERS)
    writer.add_context_length(4096)
    writer.add_embedding_length(WIDTH)
    writer.add_layer_norm_rms_eps(1e-6)
    generator = np.random.default_rng(seed)

    def draw(*shape: int) -> Any:
        return (generator.normal(0.0, 1.0, shape) / np.sqrt(shape[-1])).astype(np.float32)

    tensors = {"token_embd.weight": draw(VOCABULARY, WIDTH), "output.weight": 3 * draw(VOCABULARY, WIDTH)}
    # All but small letters have the logit 0, which is never the largest: answers are text and never end by themselves.
    tensors["output.weight"][[token for token in range(VOCABULARY) if not ord("a") <= token <= ord("z")]] = 0
    tensors["output_norm.weight"] = np.ones(WIDTH, np.float32)
    for layer in range(LAYERS):
        made = {"qwen2": _qwen2, "llama": _experts, "mamba": _mamba}[architecture](draw)
        tensors |= {f"blk.{layer}.{name}": array for name, array in made.items()}
    _settings(writer, architecture)
    _vocabulary(writer)
    for name, array in tensors.items():
        writer.add_tensor(name, np.ascontiguousarray((weights or {}).get(name, array), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _settings(writer: Any, architecture: str) -> None:
    if architecture == "mamba":
        writer.add_feed_forward_length(0)
        writer.add_head_count(0)
        writer.add_ssm_conv_kernel(4)
        writer.add_ssm_inner_size(2 * WIDTH)
        writer.add_ssm_state_size(8)
        writer.add_ssm_time_step_rank(4)
        return
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS // 2)
    writer.add_rope_freq_base(10_000.0)
    if architecture == "llama":
        writer.add_expert_count(EXPERTS)
        writer.add_expert_used_count(2)


def _vocabulary(writer: Any) -> None:
    words = [*_bytes(), *CONTROLS]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(words)
    writer.add_token_types([3 if word in CONTROLS else 1 for word in words])
    # llama.cpp wants at least one merge; it makes no token that there is.
    writer.add_token_merges(["\u0100 \u0101"])
    writer.add_eos_token_id(END)
    writer.add_bos_token_id(256)
    writer.add_add_bos_token(False)


def _attention(draw: Draw) -> dict[str, Any]:
    ones = np.ones(WIDTH, np.float32)
    return {
        "attn_norm.weight": ones,
        "ffn_norm.weight": ones,
        "attn_q.weight": 2 * draw(WIDTH, WIDTH),
        "attn_k.weight": 2 * draw(WIDTH // 2, WIDTH),
        "attn_v.weight": draw(WIDTH // 2, WIDTH),
        "attn_output.weight": draw(WIDTH, WIDTH),
    }


def _qwen2(draw: Draw) -> dict[str, Any]:
    made = _attention(draw)
    for name, size in (("q", WIDTH), ("k", WIDTH // 2), ("v", WIDTH // 2)):
        made[f"attn_{name}.bias"] = np.zeros(size, np.float32)
    made |= {"ffn_gate.weight": draw(INNER, WIDTH), "ffn_up.weight": draw(INNER, WIDTH)}
    return {**made, "ffn_down.weight": draw(WIDTH, INNER)}


def _experts(draw: Draw) -> dict[str, Any]:
    return {
        **_attention(draw),
        "ffn_gate_inp.weight": draw(EXPERTS, WIDTH),
        "ffn_gate_exps.weight": draw(EXPERTS, INNER, WIDTH),
        "ffn_up_exps.weight": draw(EXPERTS, INNER, WIDTH),
        "ffn_down_exps.weight": draw(EXPERTS, WIDTH, INNER),
    }


def _mamba(draw: Draw) -> dict[str, Any]:
    inner = 2 * WIDTH
    return {
        "attn_norm.weight": np.ones(WIDTH, np.float32),
        "ssm_in.weight": draw(2 * inner, WIDTH),
        "ssm_conv1d.weight": draw(inner, 4),
        "ssm_conv1d.bias": np.zeros(inner, np.float32),
        "ssm_x.weight": draw(4 + 2 * 8, inner),
        "ssm_dt.weight": draw(inner, 4),
        "ssm_dt.bias": np.zeros(inner, np.float32),
        "ssm_a": -np.tile(np.arange(1, 9, dtype=np.float32), (inner, 1)),
        "ssm_d": np.ones(inner, np.float32),
        "ssm_out.weight": draw(WIDTH, inner),
    }
