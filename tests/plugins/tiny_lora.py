"""Language models of some hundred kilobytes with random weights, as GGUF, and their logits in llama.cpp."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy
import pytest

LAYERS, WIDTH, FEED, HEADS, HEADS_KV = 2, 64, 96, 4, 2
SIZE = WIDTH // HEADS
CONTROLS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
WORDS = ("system", "user", "assistant", "Hello", "Have", "day")
TEMPLATE = """{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nHelp.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role != 'system' or not loop.first %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}"""


def tiny_model(
    path: Path, architecture: str = "qwen2", *, tied: bool = False, kind: str = "F32", seed: int = 0
) -> Path:
    """Write a model with byte tokens, some words and ChatML to `path`; its layers are of the type `kind`."""
    gguf = pytest.importorskip("gguf", reason="gguf is not installed: pip install 'chatapp[lora]'")
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type("model")
    writer.add_name(f"Tiny {architecture}")
    writer.add_block_count(LAYERS)
    writer.add_context_length(512)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS_KV)
    writer.add_rope_dimension_count(SIZE)
    writer.add_rope_freq_base(10_000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_key_length(SIZE)
    writer.add_value_length(SIZE)
    writer.add_file_type(int(gguf.LlamaFileType.MOSTLY_Q4_K_M))
    count = _vocabulary(writer, gguf)
    for name, array in _tensors(architecture, count, tied, numpy.random.default_rng(seed)):
        wide = array.ndim == 2 and name != "token_embd.weight"
        chosen = gguf.GGMLQuantizationType[kind if wide else "F32"]
        writer.add_tensor(name, gguf.quants.quantize(array, chosen), raw_dtype=chosen)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _vocabulary(writer: Any, gguf: Any) -> int:
    letters = _letters()
    merges = list(dict.fromkeys(pair for word in WORDS for pair in _merges(word)))
    tokens = [*letters, *("".join(pair) for pair in merges)]
    normal, control = gguf.TokenType.NORMAL, gguf.TokenType.CONTROL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([*tokens, *CONTROLS])
    writer.add_token_types([normal] * len(tokens) + [control] * len(CONTROLS))
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_bos_token_id(len(tokens))
    writer.add_pad_token_id(len(tokens))
    writer.add_eos_token_id(len(tokens) + 2)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)
    return len(tokens) + len(CONTROLS)


def _letters() -> list[str]:
    """The 256 letters of byte-level BPE, in the order of the bytes (GPT-2's `bytes_to_unicode`)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = iter(range(256, 512))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def _merges(word: str) -> Iterator[tuple[str, str]]:
    for place in range(1, len(word)):
        yield word[:place], word[place]


def _tensors(architecture: str, count: int, tied: bool, random: Any) -> Iterator[tuple[str, Any]]:
    def weights(*shape: int, scale: float = 1.0) -> Any:
        return (random.standard_normal(shape) * scale).astype(numpy.float32)

    def norm(width: int) -> Any:
        return 1 + weights(width, scale=0.1)

    yield "token_embd.weight", weights(count, WIDTH)
    yield "output_norm.weight", norm(WIDTH)
    if not tied:
        yield "output.weight", weights(count, WIDTH, scale=0.2)
    if architecture == "llama":
        # As in Llama 3.1: slow frequencies are divided.
        yield "rope_freqs.weight", numpy.linspace(1, 4, SIZE // 2, dtype=numpy.float32)
    for layer in range(LAYERS):
        rows = {"q": WIDTH, "k": HEADS_KV * SIZE, "v": HEADS_KV * SIZE}
        for part, size in rows.items():
            yield f"blk.{layer}.attn_{part}.weight", weights(size, WIDTH, scale=0.2)
            if architecture == "qwen2":
                yield f"blk.{layer}.attn_{part}.bias", weights(size, scale=0.2)
            if architecture == "qwen3" and part != "v":
                yield f"blk.{layer}.attn_{part}_norm.weight", norm(SIZE)
        yield f"blk.{layer}.attn_output.weight", weights(WIDTH, WIDTH, scale=0.2)
        yield f"blk.{layer}.attn_norm.weight", norm(WIDTH)
        yield f"blk.{layer}.ffn_norm.weight", norm(WIDTH)
        yield f"blk.{layer}.ffn_gate.weight", weights(FEED, WIDTH, scale=0.2)
        yield f"blk.{layer}.ffn_up.weight", weights(FEED, WIDTH, scale=0.2)
        yield f"blk.{layer}.ffn_down.weight", weights(WIDTH, FEED, scale=0.2)


def llama_logits(model: Path, ids: Sequence[int], adapters: Sequence[tuple[Path, float]] = (), begin: int = 0) -> Any:
    """The logits after the last of `ids`; the adapters are on from place `begin` on. Raises where one does not load."""
    import llama_cpp as lib

    quiet = lib.llama_log_callback(lambda *_: None)
    lib.llama_log_set(quiet, ctypes.c_void_p(0))
    params = lib.llama_model_default_params()
    held = lib.llama_model_load_from_file(str(model).encode(), params)
    assert held, f"llama.cpp refuses {model}"
    settings = lib.llama_context_default_params()
    settings.n_ctx, settings.n_threads, settings.n_threads_batch = 512, 1, 1
    context = lib.llama_init_from_model(held, settings)
    try:
        laid = [lib.llama_adapter_lora_init(held, str(path).encode()) for path, _ in adapters]
        assert all(laid), "llama.cpp refuses an adapter"
        if begin:
            _read(lib, context, ids[:begin])
        if laid:
            pointers = (lib.llama_adapter_lora_p_ctypes * len(laid))(*laid)
            scales = (ctypes.c_float * len(laid))(*(scale for _, scale in adapters))
            assert lib.llama_set_adapters_lora(context, pointers, len(laid), scales) == 0
        _read(lib, context, ids[begin:])
        count = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(held))
        return numpy.ctypeslib.as_array(lib.llama_get_logits_ith(context, -1), (count,)).copy()
    finally:
        lib.llama_free(context)
        lib.llama_model_free(held)


def _read(lib: Any, context: Any, ids: Sequence[int]) -> None:
    array = (lib.llama_token * len(ids))(*ids)
    assert lib.llama_decode(context, lib.llama_batch_get_one(array, len(ids))) == 0
