"""A GGUF as a model of transformers: the same logits as llama.cpp, from a cache that is checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chatapp import EngineError, Progress
from chatapp_lora.training import base
from chatapp_lora.training.base import load_base
from chatapp_lora.training.vocabulary import Vocabulary
from tests.plugins.tiny_lora import llama_logits, tiny_model

torch = pytest.importorskip("torch")
TEXT = "<|im_start|>user\nHello, have a day, não é?<|im_end|>\n<|im_start|>assistant\n"


def silent(progress: Progress) -> None:
    pass


def logits(model: Any, ids: list[int]) -> Any:
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids])).logits[0, -1].float().numpy()


@pytest.mark.parametrize(
    ("architecture", "tied", "kind"),
    [("qwen2", False, "F32"), ("llama", True, "F32"), ("qwen3", False, "F32"), ("llama", False, "Q8_0")],
)
def test_the_unpacked_model_has_the_logits_of_llama_cpp(
    tmp_path: Path, architecture: str, tied: bool, kind: str
) -> None:
    path = tiny_model(tmp_path / "tiny.gguf", architecture, tied=tied, kind=kind)
    with Vocabulary(path) as vocabulary:
        ids = vocabulary.tokenize(TEXT)
    wanted = llama_logits(path, ids)
    found = logits(load_base(path, "a", "fp32", tmp_path / "cache", True, silent).model, ids)
    # llama.cpp multiplies Q8_0 with activations of 8 bits, and keeps keys and values in 16.
    assert abs(found - wanted).max() < (0.06 if kind == "Q8_0" else 0.005) * abs(wanted).max()
    assert found.argmax() == wanted.argmax()


def test_bf16_is_near_and_half_as_large(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "tiny.gguf")
    cache = tmp_path / "cache"
    wide = load_base(path, "a", "fp32", cache, True, silent)
    narrow = load_base(path, "a", "bf16", cache, True, silent)
    sizes = {place.name: place.stat().st_size for place in cache.glob("*.safetensors")}
    assert 1.8 < sizes["a-fp32-1.safetensors"] / sizes["a-bf16-1.safetensors"] < 2.2
    first, second = (logits(each.model, list(range(20))) for each in (wide, narrow))
    assert 0 < abs(first - second).max() < 0.1 * abs(first).max()


def test_what_was_unpacked_is_used_again_and_what_is_damaged_is_not(tmp_path: Path) -> None:
    path, cache = tiny_model(tmp_path / "tiny.gguf"), tmp_path / "cache"
    told: list[str] = []

    def report(progress: Progress) -> None:
        told.append(progress.label)

    wanted = logits(load_base(path, "a", "fp32", cache, True, report).model, [1, 2, 3])
    assert "Unpacking the base model" in told
    told.clear()
    load_base(path, "a", "fp32", cache, True, report)
    assert "Unpacking the base model" not in told
    place = cache / "a-fp32-1.safetensors"
    data = bytearray(place.read_bytes())
    data[-1000] ^= 64
    place.write_bytes(data)
    assert (logits(load_base(path, "a", "fp32", cache, True, report).model, [1, 2, 3]) == wanted).all()
    assert "Unpacking the base model" in told
    place.write_bytes(place.read_bytes()[:-8])
    assert (logits(load_base(path, "a", "fp32", cache, True, report).model, [1, 2, 3]) == wanted).all()


def test_nothing_stays_where_it_is_not_to_be_kept(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "tiny.gguf")
    model = load_base(path, "a", "fp32", tmp_path / "cache", False, silent).model
    assert list((tmp_path / "cache").iterdir()) == []
    assert abs(logits(model, [1, 2, 3])).max() > 0


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "SPARE", 1 << 60)
    with pytest.raises(EngineError, match=r"takes .* of disk and .* are free: make room"):
        load_base(tiny_model(tmp_path / "tiny.gguf"), "a", "fp32", tmp_path / "cache", True, silent)
    assert list((tmp_path / "cache").iterdir()) == []


def test_other_architectures_are_named(tmp_path: Path) -> None:
    path = tiny_model(tmp_path / "tiny.gguf", "gemma3")
    with pytest.raises(EngineError, match=r"of the architecture gemma3, which cannot be trained here.*qwen3 or llama"):
        load_base(path, "a", "fp32", tmp_path / "cache", True, silent)


def test_the_number_format_is_one_of_two() -> None:
    assert base.fastest() in ("bf16", "fp32")
