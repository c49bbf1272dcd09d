"""Adapters' files: converted from PEFT folders, merged into their model, and refused where they do not fit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy
import pytest

from chatapp import EngineError, Progress, read_gguf
from chatapp_lora.training import ggml
from chatapp_lora.training.converting import convert_peft
from chatapp_lora.training.export import AdapterHead, write_adapter
from chatapp_lora.training.merging import NOTE, merge
from tests.plugins.lora_runs import factors
from tests.plugins.tiny_lora import llama_logits, tiny_model

torch = pytest.importorskip("torch")
IDS = list(range(40, 70))


@pytest.fixture(scope="module", params=["qwen2", "llama"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("tiny") / "tiny.gguf", request.param)


def adapter(path: Path, model: Path, seed: int = 0, alpha: float = 8.0) -> Path:
    write_adapter(path, factors(seed), AdapterHead("try", alpha, "tiny"), read_gguf(model))
    return path


def off(found: Any, wanted: Any) -> float:
    return float(abs(found - wanted).max() / abs(wanted).max())


def test_a_merged_model_answers_as_the_model_with_its_adapters(tmp_path: Path, model: Path) -> None:
    laid = [(adapter(tmp_path / f"{seed}.gguf", model, seed), scale) for seed, scale in ((1, 0.7), (2, -0.5))]
    told: list[Progress] = []
    merge(model, laid, tmp_path / "merged.gguf", told.append)
    wanted, found = llama_logits(model, IDS, laid), llama_logits(tmp_path / "merged.gguf", IDS)
    assert off(llama_logits(model, IDS), wanted) > 0.1
    # The changed layers have 8 bits a weight now, and are multiplied with activations of 8 bits.
    assert off(found, wanted) < 0.05
    before, after = read_gguf(model), read_gguf(tmp_path / "merged.gguf")
    assert after.values == {
        **before.values,
        NOTE: "With the LoRA adapters 1 at 0.7, 2 at -0.5 merged.",
        "general.file_type": 7,
    }
    kinds = {each.name for each in after.tensors if each.kind.name == "Q8_0"}
    assert kinds == {f"blk.1.{name}.weight" for name in ("attn_q", "attn_k", "ffn_down")}
    assert (told[-1].done, told[-1].total) == (len(before.tensors), len(before.tensors))


def test_what_is_not_merged_stays_to_the_byte(tmp_path: Path) -> None:
    model = tiny_model(tmp_path / "tiny.gguf", kind="Q8_0")
    merge(model, [(adapter(tmp_path / "a.gguf", model), 1.0)], tmp_path / "out.gguf", lambda _: None)
    first, second = read_gguf(model), read_gguf(tmp_path / "out.gguf")
    for before, after in zip(first.tensors, second.tensors, strict=True):
        parts = []
        for head, tensor in ((first, before), (second, after)):
            begin = head.data + tensor.offset
            parts.append(head.path.read_bytes()[begin : begin + tensor.bytes])
        changed = before.name in factors(0)
        assert (before.name, before.shape) == (after.name, after.shape)
        assert (parts[0] != parts[1]) == changed


def test_what_cannot_be_merged_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, out = tiny_model(tmp_path / "tiny.gguf"), tmp_path / "out.gguf"
    good = adapter(tmp_path / "good.gguf", model)
    other = tiny_model(tmp_path / "other.gguf", "llama")
    for adapters, sentence in (
        ([], "nothing to merge"),
        ([(model, 1.0)], "tiny.gguf is no LoRA adapter"),
        ([(adapter(tmp_path / "llama.gguf", other), 1.0)], "llama.gguf is for another kind of model than tiny.gguf"),
        ([(good, float("nan"))], "the scale is no number"),
    ):
        with pytest.raises(EngineError, match=sentence):
            merge(model, adapters, out, lambda _: None)
    with pytest.raises(EngineError, match="is one of the files to merge"):
        merge(model, [(good, 1.0)], model, lambda _: None)

    def give_up(progress: Progress) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        merge(model, [(good, 1.0)], out, give_up)
    monkeypatch.setattr(ggml, "SPARE", 1 << 60)
    with pytest.raises(EngineError, match="are free: make room"):
        merge(model, [(good, 1.0)], out, lambda _: None)
    assert not list(tmp_path.glob("out.gguf*"))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"blk.9.attn_q.weight": (4, 64, 64)}, "has no layer blk.9.attn_q.weight"),
        ({"blk.0.attn_q.weight": (4, 32, 64)}, "takes 64 numbers to 64 in tiny.gguf and 32 to 64 in the adapter"),
    ],
)
def test_factors_that_do_not_fit_are_not_written(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    head = read_gguf(tiny_model(tmp_path / "tiny.gguf"))
    made = {name: (numpy.ones((r, width)), numpy.ones((rows, r))) for name, (r, width, rows) in changes.items()}
    with pytest.raises(EngineError, match=sentence):
        write_adapter(tmp_path / "a.gguf", made, AdapterHead("a", 1.0, "b"), head)
    wrong = {"blk.0.attn_q.weight": (numpy.full((4, 64), numpy.nan), numpy.ones((64, 4)))}
    with pytest.raises(EngineError, match="not finite or far too large"):
        write_adapter(tmp_path / "a.gguf", wrong, AdapterHead("a", 1.0, "b"), head)
    assert not (tmp_path / "a.gguf").exists()


NAMES = {"attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "ffn_down": "mlp.down_proj"}


def folder(path: Path, tensors: dict[str, Any], **config: Any) -> Path:
    """A PEFT folder with these settings; a factor's name is "MODULE.A" or "MODULE.B"."""
    from safetensors.torch import save_file

    path.mkdir()
    usual = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none", "base_model_name_or_path": "tiny"}
    (path / "adapter_config.json").write_text(json.dumps({**usual, **config}))
    named = {f"base_model.model.{name[:-2]}.lora_{name[-1]}.weight": tensor for name, tensor in tensors.items()}
    save_file(named, path / "adapter_model.safetensors")
    return path


def named(pairs: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, pair in pairs.items():
        module = f"model.layers.1.{NAMES[name.split('.')[2]]}"
        found |= {f"{module}.{part}": torch.from_numpy(each) for part, each in zip("AB", pair, strict=True)}
    return found


def test_a_folder_of_peft_becomes_the_same_adapter(tmp_path: Path, model: Path) -> None:
    wanted = llama_logits(model, IDS, [(adapter(tmp_path / "direct.gguf", model), 1.0)])
    path = folder(tmp_path / "peft", named(factors(0)), alora_invocation_tokens=[5, 6])
    convert_peft(path, tmp_path / "made.gguf", read_gguf(model))
    assert off(llama_logits(model, IDS, [(tmp_path / "made.gguf", 1.0)]), wanted) == 0
    said = read_gguf(tmp_path / "made.gguf").values
    assert said["adapter.alora.invocation_tokens"] == [5, 6]
    assert said["general.name"] == "peft"


@pytest.mark.parametrize(
    ("config", "alphas"),
    [
        ({"use_rslora": True, "lora_alpha": 4}, {"attn_q": 8.0, "attn_k": 8.0, "ffn_down": 8.0}),
        ({"alpha_pattern": {"q_proj": 16}}, {"attn_q": 16.0, "attn_k": 8.0, "ffn_down": 8.0}),
        ({"rank_pattern": {"layers.1.self_attn.k_proj": 2}}, {"attn_q": 8.0, "attn_k": 8.0, "ffn_down": 8.0}),
    ],
)
def test_patterns_and_other_scaling_are_worked_in(tmp_path: Path, config: Any, alphas: dict[str, float]) -> None:
    model = tiny_model(tmp_path / "tiny.gguf")
    ranks = {"attn_k": 2} if "rank_pattern" in config else {}
    pairs: dict[str, Any] = {}
    for name in alphas:
        pairs |= factors(3, [name], ranks.get(name, 4))
    laid = []
    for name, alpha in alphas.items():
        laid.append((tmp_path / f"{name}.gguf", 1.0))
        own = {key: pair for key, pair in pairs.items() if name in key}
        write_adapter(laid[-1][0], own, AdapterHead("a", alpha, "b"), read_gguf(model))
    convert_peft(folder(tmp_path / "peft", named(pairs), **config), tmp_path / "made.gguf", read_gguf(model))
    found = llama_logits(model, IDS, [(tmp_path / "made.gguf", 1.0)])
    assert off(found, llama_logits(model, IDS, laid)) < 0.002


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"peft_type": "IA3"}, "no LoRA adapter"),
        ({"use_dora": True}, "has DoRA (use_dora)"),
        ({"modules_to_save": ["lm_head"]}, "whole layers trained beside it"),
        ({"bias": "all"}, "has a bias"),
        ({"fan_in_fan_out": True}, "stored the other way round"),
        ({"init_lora_weights": "pissa_niter_4"}, "began by changing its model"),
        ({"r": 5}, "has the rank 4 and adapter_config.json says 5"),
        ({"r": "4"}, "says no usable r"),
        ({"lora_alpha": None}, "says no usable lora_alpha"),
        ({"alpha_pattern": {"(a+)+$": 3}}, "a pattern of ranks or alphas that is not understood"),
        ({"alora_invocation_tokens": ["a"]}, "are no list of token numbers"),
    ],
)
def test_settings_that_llama_cpp_has_nothing_for_are_refused(tmp_path: Path, config: Any, sentence: str) -> None:
    head = read_gguf(tiny_model(tmp_path / "tiny.gguf"))
    path = folder(tmp_path / "peft", named(factors(0)), **config)
    with pytest.raises(EngineError, match=re.escape(sentence)):
        convert_peft(path, tmp_path / "made.gguf", head)
    assert not (tmp_path / "made.gguf").exists()


@pytest.mark.parametrize(
    ("tensors", "sentence"),
    [
        ({}, "is empty"),
        ({"model.embed_tokens.A": torch.ones(4, 4), "model.embed_tokens.B": torch.ones(4, 4)}, "only the layers q, k"),
        ({"model.layers.1.self_attn.q_proj.A": torch.ones(4, 64)}, "lacks a factor"),
        ({"model.layers.1.self_attn.q_proj.E": torch.ones(4, 64)}, "which is no factor of a linear layer"),
        (
            {
                "model.layers.1.self_attn.q_proj.A": torch.full((4, 64), torch.inf),
                "model.layers.1.self_attn.q_proj.B": torch.ones(64, 4),
            },
            "are not finite",
        ),
    ],
)
def test_weights_that_are_no_factors_are_refused(tmp_path: Path, tensors: Any, sentence: str) -> None:
    head = read_gguf(tiny_model(tmp_path / "tiny.gguf"))
    with pytest.raises(EngineError, match=re.escape(sentence)):
        convert_peft(folder(tmp_path / "peft", tensors), tmp_path / "made.gguf", head)


def test_a_folder_that_lacks_something_is_refused(tmp_path: Path) -> None:
    head = read_gguf(tiny_model(tmp_path / "tiny.gguf"))
    path = folder(tmp_path / "peft", named(factors(0)))
    (path / "adapter_model.safetensors").rename(path / "adapter_model.bin")
    with pytest.raises(EngineError, match="only safetensors are read"):
        convert_peft(path, tmp_path / "made.gguf", head)
    (path / "adapter_model.safetensors").write_bytes(b"\x08")
    with pytest.raises(EngineError, match="is damaged"):
        convert_peft(path, tmp_path / "made.gguf", head)
    (path / "adapter_config.json").write_text("[")
    with pytest.raises(EngineError, match="cannot be read"):
        convert_peft(path, tmp_path / "made.gguf", head)
    (path / "adapter_config.json").unlink()
    with pytest.raises(EngineError, match=r"holds no adapter_config\.json"):
        convert_peft(path, tmp_path / "made.gguf", head)
