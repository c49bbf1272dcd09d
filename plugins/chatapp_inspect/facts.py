"""From the head of a GGUF to what a person wants to know: facts with a sentence each on what they mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from chatapp import GgufHead, GgufItems, GgufTensor, visible

CACHE_BYTES = 2
"""Bytes of a number in the key/value cache: llama.cpp keeps 16-bit floats unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One row: what it is called, its value as text, what that means."""

    name: str
    value: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Share:
    """The tensors of one type: how many, their bytes and bits per weight."""

    type: str
    tensors: int
    bytes: int
    bits: float


@dataclass(frozen=True, slots=True)
class Shape:
    """The architecture in numbers; 0 is not stated. `kv_heads` has one entry per layer."""

    architecture: str
    layers: int
    heads: int
    kv_heads: tuple[int, ...]
    key_size: int
    value_size: int
    embedding: int
    feed_forward: int
    rope_dimensions: int
    rope_base: float
    context: int
    vocabulary: int
    experts: int
    experts_used: int
    experts_shared: int
    window: int
    latent: int

    def cache_bytes(self, context: int) -> int:
        """Bytes of the key/value cache for `context` tokens, at most.

        For each layer: its key/value heads x (key size + value size) x 2 bytes x tokens. A model with latent attention
        (`latent`: the width that keys and values are squeezed to) keeps latent + rotary numbers per layer instead.
        Layers with a sliding window need less, as they keep only the window.
        """
        if self.latent:
            return self.layers * (self.latent + self.rope_dimensions) * CACHE_BYTES * context
        return sum(self.kv_heads) * (self.key_size + self.value_size) * CACHE_BYTES * context


def shape_of(head: GgufHead) -> Shape:
    """The numbers of the architecture; what the file leaves out is derived as llama.cpp does."""
    values = head.values
    architecture = str(values.get("general.architecture", "unknown"))

    def whole(key: str, otherwise: int = 0) -> int:
        found = values.get(f"{architecture}.{key}", otherwise)
        found = max((n for n in found if isinstance(n, int)), default=otherwise) if isinstance(found, list) else found
        return int(found) if isinstance(found, (int, float)) and abs(found) < 1e15 else otherwise

    layers, heads, embedding = whole("block_count"), whole("attention.head_count"), whole("embedding_length")
    size = embedding // heads if heads > 0 else 0
    key_size = whole("attention.key_length", size)
    base = values.get(f"{architecture}.rope.freq_base", 10_000.0)
    return Shape(
        architecture, layers, heads, _kv_heads(values, architecture, layers, heads), key_size,
        whole("attention.value_length", size), embedding, whole("feed_forward_length"),
        whole("rope.dimension_count", key_size), float(base) if isinstance(base, (int, float)) else 0.0,
        whole("context_length"), _vocabulary(values, architecture), whole("expert_count"),
        whole("expert_used_count"), whole("expert_shared_count"), whole("attention.sliding_window"),
        whole("attention.kv_lora_rank"),
    )  # fmt: skip


def _kv_heads(values: dict[str, Any], architecture: str, layers: int, heads: int) -> tuple[int, ...]:
    found = values.get(f"{architecture}.attention.head_count_kv", heads)
    if isinstance(found, list):
        return tuple(number for number in found if isinstance(number, int) and number >= 0)[: max(layers, 0)]
    number = found if isinstance(found, int) and found >= 0 else heads
    return (number,) * min(max(layers, 0), 10_000)


def _vocabulary(values: dict[str, Any], architecture: str) -> int:
    tokens = values.get("tokenizer.ggml.tokens")
    if isinstance(tokens, GgufItems):
        return tokens.count
    stated = values.get(f"{architecture}.vocab_size", 0)
    return stated if isinstance(stated, int) else 0


def shares(tensors: tuple[GgufTensor, ...]) -> list[Share]:
    """The tensors by type, the type with most bytes first."""
    groups: dict[str, list[GgufTensor]] = {}
    for tensor in tensors:
        groups.setdefault(tensor.kind.name, []).append(tensor)
    made = [
        Share(name, len(group), sum(each.bytes for each in group), group[0].kind.size * 8 / group[0].kind.block)
        for name, group in groups.items()
    ]
    return sorted(made, key=lambda share: -share.bytes)


def facts(head: GgufHead, context: int) -> list[Fact]:
    """All that can be said of the model; the key/value cache is reckoned for `context` tokens (0: as trained)."""
    shape = shape_of(head)
    return [*_identity(head, shape), *_attention(shape), *_position(head, shape), *_width(head, shape),
            *_memory(head, shape, context or shape.context)]  # fmt: skip


def _identity(head: GgufHead, shape: Shape) -> Iterator[Fact]:
    name = head.values.get("general.name")
    if isinstance(name, str) and name:
        yield Fact("name", visible(name)[:100], "What its publisher calls it.")
    yield Fact("architecture", visible(shape.architecture)[:60], "The plan by which the layers are connected.")
    weights = sum(tensor.weights for tensor in head.tensors)
    yield Fact("parameters", f"{weights:,}", "All the numbers that were learned.")
    yield Fact("layers", f"{shape.layers:,}", "Each reads what the one before made of the text and refines it.")


def _attention(shape: Shape) -> Iterator[Fact]:
    most, least = max(shape.kv_heads, default=0), min(shape.kv_heads, default=0)
    if not shape.heads:
        yield Fact("attention heads", "none stated", "It may keep a running state in place of attention.")
        return
    yield Fact("attention heads", f"{shape.heads:,}", "Each looks back over the text for something else.")
    shown = f"{most:,}" if most == least else f"{least:,} to {most:,}, by layer"
    yield Fact("key/value heads", shown, _grouping(shape.heads, most))
    yield Fact("head size", _sizes(shape), "Numbers in the key and the value that a head keeps of each token.")
    if shape.latent:
        yield Fact("latent attention", f"{shape.latent:,}", "Keys and values are kept squeezed to this width.")
    if shape.window:
        meaning = "Layers with a sliding window look back this many tokens only, which saves memory."
        yield Fact("sliding window", f"{shape.window:,} tokens", meaning)


def _sizes(shape: Shape) -> str:
    same = shape.key_size == shape.value_size
    return f"{shape.key_size:,}" if same else f"{shape.key_size:,} (key), {shape.value_size:,} (value)"


def _grouping(heads: int, kv_heads: int) -> str:
    if not kv_heads:
        return "These layers keep no keys and values."
    if kv_heads >= heads:
        return "Every attention head has a key and a value of its own (multi-head attention)."
    each = heads // kv_heads
    name = "Multi-query" if kv_heads == 1 else "Grouped-query"
    return f"{name} attention: {each} heads share each key and value, so the cache is {each} times smaller."


def _position(head: GgufHead, shape: Shape) -> Iterator[Fact]:
    stated = any(key.startswith(f"{shape.architecture}.rope.") for key in head.values)
    if stated or shape.rope_dimensions:
        yield Fact("position encoding", f"RoPE, base {shape.rope_base:,.0f}",
                   "Keys are rotated by their place in the text; a larger base reaches further back.")  # fmt: skip
    scaling = head.values.get(f"{shape.architecture}.rope.scaling.type")
    if isinstance(scaling, str) and scaling != "none":
        factor = head.values.get(f"{shape.architecture}.rope.scaling.factor")
        by = f" by {factor:g}" if isinstance(factor, (int, float)) else ""
        yield Fact(
            "position scaling", f"{visible(scaling)[:30]}{by}", "Stretches positions beyond those learned first."
        )
    yield Fact("trained context", f"{shape.context:,} tokens", "The longest text it learned to read at once.")


def _width(head: GgufHead, shape: Shape) -> Iterator[Fact]:
    yield Fact("embedding width", f"{shape.embedding:,}", "Numbers that stand for a token between the layers.")
    yield Fact("feed-forward width", f"{shape.feed_forward:,}", "Numbers in the middle of each layer's network.")
    kind = visible(str(head.values.get("tokenizer.ggml.model", "unknown")))[:30]
    name = {"gpt2": "byte-pair", "llama": "SentencePiece", "bert": "WordPiece", "t5": "unigram"}.get(kind, kind)
    yield Fact("vocabulary", f"{shape.vocabulary:,} tokens ({name})", "The pieces of text it reads and writes.")
    if shape.experts:
        shared = f" and {shape.experts_shared:,} shared" if shape.experts_shared else ""
        yield Fact("experts", f"{shape.experts:,}, {shape.experts_used:,} used per token{shared}",
                   "Mixture of experts: each token passes through a few of the feed-forward networks.")  # fmt: skip


def _memory(head: GgufHead, shape: Shape, context: int) -> Iterator[Fact]:
    total = sum(tensor.bytes for tensor in head.tensors)
    weights = sum(tensor.weights for tensor in head.tensors)
    bits = total * 8 / weights if weights else 0.0
    yield Fact("weights", f"{mega(total)}, {bits:.2f} bits each", "Memory of the learned numbers, as they are packed.")
    cache = shape.cache_bytes(context)
    meaning = f"Keys and values of {context:,} tokens as 16-bit numbers{', at most' if shape.window else ''}."
    yield Fact("key/value cache", mega(cache), meaning)
    if (parts := head.values.get("split.count", 0)) and isinstance(parts, int) and parts > 1:
        yield Fact("parts", f"one of {parts}", "The tensors of the other files are not counted here.")


def mega(count: int) -> str:
    """Bytes in MB (10^6), or in GB (10^9)."""
    return f"{count / 1e9:,.2f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def as_json(head: GgufHead, context: int) -> dict[str, Any]:
    """Facts, shape and types for programs and for the widget."""
    return {
        "path": str(head.path),
        "facts": [asdict(fact) for fact in facts(head, context)],
        "types": [asdict(share) for share in shares(head.tensors)],
        "shape": asdict(shape_of(head)),
    }
