"""Reading GGUF heads: made by hand, cut, lying and hostile ones, and what is told of the architecture."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from chatapp.errors import ModelError
from chatapp.gguf import GgufHead, read_gguf
from chatapp_inspect import facts

LLAMA: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.block_count": 4,
    "llama.attention.head_count": 8,
    "llama.attention.head_count_kv": 2,
    "llama.embedding_length": 512,
    "llama.context_length": 1000,
}


def text(value: str) -> bytes:
    """A string as the format has it."""
    return struct.pack("<Q", len(value.encode())) + value.encode()


def value(given: Any) -> bytes:
    """A value with its type."""
    if isinstance(given, str):
        return struct.pack("<I", 8) + text(given)
    if isinstance(given, float):
        return struct.pack("<If", 6, given)
    if isinstance(given, list):
        kind = 8 if isinstance(given[0], str) else 4
        packed = b"".join(text(each) if kind == 8 else struct.pack("<I", each) for each in given)
        return struct.pack("<IIQ", 9, kind, len(given)) + packed
    return struct.pack("<II", 4, given)


def made(values: dict[str, Any], tensors: int = 1, *, data: bool = True) -> bytes:
    """A whole small GGUF: its tensors are 256 x 2 weights of Q4_K."""
    head = b"GGUF" + struct.pack("<IQQ", 3, tensors, len(values))
    head += b"".join(text(name) + value(each) for name, each in values.items())
    for place in range(tensors):
        head += text(f"blk.{place}") + struct.pack("<IQQIQ", 2, 256, 2, 12, place * 288)
    return head + b"\0" * (-len(head) % 32) + b"\0" * (288 * tensors if data else 0)


def read(folder: Path, data: bytes) -> GgufHead:
    """What is read of a file with these bytes."""
    path = folder / "model.gguf"
    path.write_bytes(data)
    return read_gguf(path)


def told(folder: Path, values: dict[str, Any], context: int = 0) -> dict[str, str]:
    """The facts of a model with these values, by name."""
    return {fact.name: fact.value for fact in facts.facts(read(folder, made(values)), context)}


def test_a_grouped_query_model(tmp_path: Path) -> None:
    head = read(tmp_path, made({**LLAMA, "llama.rope.freq_base": 500_000.0, "tokenizer.ggml.tokens": ["a", "b"]}, 3))
    shape = facts.shape_of(head)
    assert (shape.layers, shape.heads, shape.kv_heads, shape.key_size) == (4, 8, (2,) * 4, 64)
    # 4 layers x 2 heads x (64 + 64) numbers x 2 bytes x 1,000 tokens
    assert shape.cache_bytes(1000) == 2_048_000
    assert facts.shares(head.tensors) == [facts.Share("Q4_K", 3, 864, 4.5)]
    shown = {fact.name: fact for fact in facts.facts(head, 0)}
    assert shown["key/value heads"].meaning.startswith("Grouped-query attention: 4 heads share")
    assert shown["position encoding"].value == "RoPE, base 500,000"
    assert shown["key/value cache"].value == "2.0 MB"
    assert shown["vocabulary"].value == "2 tokens (unknown)"
    assert all(fact.value and fact.meaning.endswith(".") for fact in shown.values())


def test_experts_a_window_scaling_and_latent_attention(tmp_path: Path) -> None:
    more = {
        "llama.expert_count": 8, "llama.expert_used_count": 2, "llama.attention.sliding_window": 128,
        "llama.rope.scaling.type": "yarn", "llama.rope.scaling.factor": 4.0,
        "llama.attention.kv_lora_rank": 100, "llama.rope.dimension_count": 28,
    }  # fmt: skip
    shown = told(tmp_path, {**LLAMA, **more}, 10)
    assert shown["experts"] == "8, 2 used per token"
    assert shown["sliding window"] == "128 tokens"
    assert shown["position scaling"] == "yarn by 4"
    assert facts.shape_of(read(tmp_path, made({**LLAMA, **more}))).cache_bytes(10) == 4 * 128 * 2 * 10


def test_heads_by_layer_and_none_at_all(tmp_path: Path) -> None:
    assert told(tmp_path, {**LLAMA, "llama.attention.head_count_kv": [0, 2, 0, 8]})["key/value heads"] == (
        "0 to 8, by layer"
    )
    assert told(tmp_path, {"general.architecture": "mamba"})["attention heads"] == "none stated"
    assert told(tmp_path, {})["architecture"] == "unknown"


def test_values_of_strange_types_and_names_are_shown_and_harm_nothing(tmp_path: Path) -> None:
    strange = {**LLAMA, "general.name": "\x1b[2J" + "x" * 500, "llama.block_count": 2**32 - 1,
               "llama.rope.freq_base": float("nan"), "llama.embedding_length": "wide"}  # fmt: skip
    shown = told(tmp_path, strange)
    assert shown["name"].startswith("␛[2J")
    assert len(shown["name"]) == 100
    assert shown["embedding width"] == "0"


def test_the_other_byte_order(tmp_path: Path) -> None:
    data = b"GGUF" + struct.pack(">IQQ", 3, 0, 1) + struct.pack(">Q", 4) + b"name" + struct.pack(">II", 4, 7)
    assert read(tmp_path, data).values == {"name": 7}


def test_every_cut_of_a_file_is_one_sentence(tmp_path: Path) -> None:
    whole = made({**LLAMA, "tokenizer.ggml.tokens": ["a", "bc"], "numbers": [1, 2, 3]}, 2)
    assert read(tmp_path, whole).values["numbers"] == [1, 2, 3]
    for length in range(len(whole)):
        with pytest.raises(ModelError) as caught:
            read(tmp_path, whole[:length])
        sentence = str(caught.value)
        assert "model.gguf is " in sentence or "model.gguf says" in sentence
        assert sentence.endswith(".")
        assert "\n" not in sentence


def _with(counts: bytes, rest: bytes = b"") -> bytes:
    return b"GGUF" + counts + rest


HUGE = 2**63
HOSTILE = {
    "tensors": _with(struct.pack("<IQQ", 3, HUGE, 0)),
    "keys": _with(struct.pack("<IQQ", 3, 0, HUGE)),
    "many keys": _with(struct.pack("<IQQ", 3, 0, 4000), b"\0" * 100),
    "name": _with(struct.pack("<IQQQ", 3, 0, 1, HUGE), b"\0" * 100),
    "text": _with(struct.pack("<IQQ", 3, 0, 1), text("k") + struct.pack("<IQ", 8, HUGE)),
    "array": _with(struct.pack("<IQQ", 3, 0, 1), text("k") + struct.pack("<IIQ", 9, 8, HUGE)),
    "array beyond the file": _with(struct.pack("<IQQ", 3, 0, 1), text("k") + struct.pack("<IIQ", 9, 4, 1_000_000)),
    "array of arrays": _with(struct.pack("<IQQ", 3, 0, 1), text("k") + struct.pack("<IIQ", 9, 9, 1) + b"\0" * 99),
    "type": _with(struct.pack("<IQQ", 3, 0, 1), text("k") + struct.pack("<I", 77)),
    "version 1": _with(struct.pack("<III", 1, 0, 0)),
    "version 9": _with(struct.pack("<IQQ", 9, 0, 0)),
    "dimensions": _with(struct.pack("<IQQ", 3, 1, 0), text("t") + struct.pack("<I", 2**31) + b"\0" * 99),
    "tensor type": _with(struct.pack("<IQQ", 3, 1, 0), text("t") + struct.pack("<IQIQ", 1, 32, 4, 0)),
    "tensor size": _with(struct.pack("<IQQ", 3, 1, 0), text("t") + struct.pack("<IQQIQ", 2, HUGE, HUGE, 0, 0)),
    "no data": made(LLAMA, 2, data=False),
    "no model": b"PK\x03\x04" + b"\0" * 100,
    "empty": b"",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_lies_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelError) as caught:
        read(tmp_path, HOSTILE[name])
    assert str(caught.value).count(str(tmp_path)) == 1
    assert "\n" not in str(caught.value)


def test_a_sparse_file_that_claims_a_huge_head_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    count = 1000
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 8, count))
        begin = file.tell()
        for place in range(count):
            file.seek(begin + place * 4_000_008)
            file.write(struct.pack("<Q", 4_000_000))
        file.truncate(begin + count * 4_000_008)
    with pytest.raises(ModelError, match="head of more than 500 MB"):
        read_gguf(path)


def test_folders_and_missing_files(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.gguf"):
        with pytest.raises(ModelError, match="is not a file"):
            read_gguf(path)
