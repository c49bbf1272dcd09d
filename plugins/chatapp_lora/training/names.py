"""How a GGUF and transformers call the same things, and which architectures can be trained.

The names: gguf-py/gguf/tensor_mapping.py of llama.cpp, and the `modeling_*.py` of transformers.
"""

from __future__ import annotations

from typing import Any

from chatapp import EngineError, GgufHead, visible

PROJECTIONS = {
    "q": ("attn_q", "self_attn.q_proj"),
    "k": ("attn_k", "self_attn.k_proj"),
    "v": ("attn_v", "self_attn.v_proj"),
    "o": ("attn_output", "self_attn.o_proj"),
    "gate": ("ffn_gate", "mlp.gate_proj"),
    "up": ("ffn_up", "mlp.up_proj"),
    "down": ("ffn_down", "mlp.down_proj"),
}
"""A target's short name: what the GGUF and what transformers call it within a layer."""
_PARTS = {
    **dict(PROJECTIONS.values()),
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
}
_WHOLE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
SUPPORTED = ("qwen2", "qwen3", "llama")
"""The `general.architecture` of a GGUF that can be trained; Mistral and SmolLM models are "llama" too."""
FREQUENCIES = "rope_freqs.weight"


def module_of(name: str) -> str:
    """What transformers calls a tensor of the GGUF ("blk.3.attn_q.weight"); "" when it has none of that name."""
    stem, _, kind = name.rpartition(".")
    if stem in _WHOLE:
        return f"{_WHOLE[stem]}.{kind}"
    block, _, rest = stem.removeprefix("blk.").partition(".")
    known = stem.startswith("blk.") and block.isdigit() and rest in _PARTS
    return f"model.layers.{block}.{_PARTS[rest]}.{kind}" if known else ""


def tensor_of(module: str) -> str:
    """What the GGUF calls a linear layer of transformers ("model.layers.3.self_attn.q_proj"), without its ending."""
    layers, _, rest = module.removeprefix("model.").removeprefix("layers.").partition(".")
    ggml = {theirs: ours for ours, theirs in PROJECTIONS.values()}.get(rest)
    return f"blk.{layers}.{ggml}" if ggml and layers.isdigit() else ""


def architecture(head: GgufHead) -> str:
    """The architecture of a model that can be trained; EngineError says why another cannot."""
    name = str(head.values.get("general.architecture", ""))
    shown = visible(head.path.name)
    if head.values.get("general.type", "model") != "model" or not name:
        raise EngineError(f"{shown} is no language model: choose the GGUF of a model to train an adapter for.")
    if name not in SUPPORTED or head.values.get(f"{name}.expert_count"):
        experts = " with experts" if name in SUPPORTED else ""
        raise EngineError(
            f"{shown} is of the architecture {visible(name)}{experts}, which cannot be trained here: choose a model of "
            f"{', '.join(SUPPORTED[:-1])} or {SUPPORTED[-1]}."
        )
    return name


def value(head: GgufHead, key: str, fallback: Any = None) -> Any:
    """A value of the model's own table, "block_count" for instance; EngineError when it lacks and has no fallback."""
    found = head.values.get(f"{head.values.get('general.architecture')}.{key}", fallback)
    if found is None:
        raise EngineError(f"{visible(head.path.name)} does not say its {key}: it is damaged, download it again.")
    return found


def rows_of_heads(head: GgufHead, name: str) -> int:
    """Of how many heads the rows of this tensor are to be put in another order; 0 when they are as transformers has it.

    llama.cpp rotates neighbouring pairs in models of the architecture llama, and transformers the two halves of a head
    (`LlamaModel.permute` of convert_hf_to_gguf.py).
    """
    if head.values.get("general.architecture") != "llama":
        return 0
    part = name.split(".")[2] if name.startswith("blk.") else ""
    heads = int(value(head, "attention.head_count"))
    return {"attn_q": heads, "attn_k": int(value(head, "attention.head_count_kv", heads))}.get(part, 0)


def to_pairs(rows: Any, heads: int) -> Any:
    """Rows as transformers has them, in llama.cpp's order; a NumPy array or a torch tensor of one or two dimensions."""
    return _swapped(rows, (heads, 2, rows.shape[0] // heads // 2)) if heads else rows


def to_halves(rows: Any, heads: int) -> Any:
    """The opposite of `to_pairs`."""
    return _swapped(rows, (heads, rows.shape[0] // heads // 2, 2)) if heads else rows


def _swapped(rows: Any, shape: tuple[int, int, int]) -> Any:
    return rows.reshape(*shape, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)
