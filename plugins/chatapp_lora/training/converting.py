"""A PEFT folder (adapter_config.json and adapter_model.safetensors) as a GGUF adapter."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chatapp import EngineError, GgufHead, visible
from chatapp_lora.training.export import AdapterHead, write_adapter
from chatapp_lora.training.names import PROJECTIONS, architecture, tensor_of

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
LARGEST_CONFIG = 1_000_000
PREFIX = "base_model.model."
REFUSED = {
    "use_dora": "DoRA",
    "modules_to_save": "whole layers trained beside it",
    "fan_in_fan_out": "layers stored the other way round",
    "use_qalora": "QALoRA",
    "layer_replication": "layers that occur several times",
    "trainable_token_indices": "trained tokens",
    "target_parameters": "parameters that are no linear layer's",
    "lora_bias": "a bias",
    "megatron_config": "Megatron's layers",
    "use_bdlora": "block-diagonal factors",
    "kasa_config": "KaSA",
    "arrow_config": "Arrow routing",
    "monteclora_config": "MonteCLoRA",
}
"""Settings of PEFT that llama.cpp has nothing for, and what to call them."""
CHANGED_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Ways to begin (`init_lora_weights`) that change the model itself: the factors alone are then not the adapter."""
PLAIN = re.compile(r"[\w.]+")


def convert_peft(folder: Path, out: Path, model_head: GgufHead) -> None:
    """Write the adapter of a PEFT folder to `out` as a GGUF for the model of `model_head`; whole or not at all.

    Ranks and alphas that differ from layer to layer are worked into the factors, and rank-stabilised scaling
    (Kalajdzievski, 2023) into alpha. Tokens that activate it are kept. EngineError says in one sentence why it
    cannot be converted.
    """
    architecture(model_head)
    config = _config(folder)
    rank, alpha = _whole(config, "r"), _number(config, "lora_alpha")
    stable = bool(config.get("use_rslora"))
    shared = _scale(alpha, rank, stable) * rank
    factors = {}
    for module, (first, second) in _factors(folder).items():
        name = tensor_of(module)
        if not name:
            raise EngineError(
                f"The adapter changes {visible(module)}, and only the layers {', '.join(PROJECTIONS)} of the attention "
                "and the feed-forward network can be converted."
            )
        own_rank = _matching(config.get("rank_pattern"), module, rank)
        own_alpha = _matching(config.get("alpha_pattern"), module, alpha)
        if first.shape[0] != own_rank:
            raise EngineError(f"{visible(module)} has the rank {first.shape[0]} and {CONFIG} says {own_rank:g}.")
        # The file has one alpha for all: what llama.cpp would scale by, and what PEFT does.
        wanted, given = _scale(own_alpha, own_rank, stable), shared / own_rank
        factors[f"{name}.weight"] = (first, second * (wanted / given))
    invocation = tuple(config.get("alora_invocation_tokens") or ())
    base = str(config.get("base_model_name_or_path") or model_head.values.get("general.name") or "unknown")
    write_adapter(out, factors, AdapterHead(folder.name, shared, base, invocation=invocation), model_head)


def _config(folder: Path) -> dict[str, Any]:
    """The folder's settings, none of which asks for more than low-rank factors."""
    shown = visible(str(folder))
    path = folder / CONFIG
    try:
        if path.stat().st_size > LARGEST_CONFIG:
            raise EngineError(f"{CONFIG} of {shown} is far too large: it is no adapter.")
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EngineError(f"{shown} holds no {CONFIG}: name the folder of a PEFT adapter.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise EngineError(f"{CONFIG} of {shown} cannot be read: {error}.") from None
    if not isinstance(config, dict) or str(config.get("peft_type", "")).upper() != "LORA":
        raise EngineError(f"{shown} holds no LoRA adapter: other kinds of PEFT cannot be converted.")
    for key, words in REFUSED.items():
        if config.get(key):
            raise EngineError(f"The adapter in {shown} has {words} ({key}), which llama.cpp does not know.")
    if config.get("bias", "none") != "none":
        raise EngineError(f"The adapter in {shown} has a bias, which llama.cpp does not know.")
    if str(config.get("init_lora_weights")).startswith(CHANGED_BASE):
        raise EngineError(f"The adapter in {shown} began by changing its model: save it converted to an ordinary LoRA.")
    tokens = config.get("alora_invocation_tokens")
    if tokens is not None and not _ids(tokens):
        raise EngineError(f"The tokens that activate the adapter in {shown} are no list of token numbers.")
    return config


def _ids(tokens: Any) -> bool:
    return isinstance(tokens, list) and all(type(each) is int and 0 <= each < 1 << 31 for each in tokens)


def _factors(folder: Path) -> dict[str, tuple[Any, Any]]:
    """A (r, in) and B (out, r) in float32 by the module they change."""
    import numpy
    from safetensors import SafetensorError, safe_open

    path, shown = folder / WEIGHTS, visible(str(folder))
    if not path.is_file():
        raise EngineError(f"{shown} holds no {WEIGHTS}: only safetensors are read; save the adapter as such.")
    found: dict[str, dict[str, Any]] = {}
    try:
        # Through torch: NumPy has no bfloat16.
        with safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 - it is no dictionary
                module, part = _split(key, shown)
                found.setdefault(module, {})[part] = file.get_tensor(key).float().numpy()
    except (OSError, SafetensorError) as error:
        raise EngineError(f"{WEIGHTS} of {shown} is damaged ({error}): copy or download it again.") from None
    for module, parts in found.items():
        if set(parts) != {"A", "B"} or any(each.ndim != 2 for each in parts.values()):
            raise EngineError(f"{shown} lacks a factor of {visible(module)}: copy or download it again.")
        if not all(numpy.isfinite(each).all() for each in parts.values()):
            raise EngineError(f"The factors of {visible(module)} in {shown} are not finite: train it again.")
    if not found:
        raise EngineError(f"{WEIGHTS} of {shown} is empty: copy or download it again.")
    return {module: (parts["A"], parts["B"]) for module, parts in found.items()}


def _split(key: str, shown: str) -> tuple[str, str]:
    module, _, part = key.removeprefix(PREFIX).removesuffix(".weight").rpartition(".lora_")
    if not key.startswith(PREFIX) or not key.endswith(".weight") or part not in ("A", "B"):
        raise EngineError(f"{shown} holds {visible(key)}, which is no factor of a linear layer.")
    return module, part


def _scale(alpha: float, rank: float, stable: bool) -> float:
    return alpha / (math.sqrt(rank) if stable else rank)


def _matching(pattern: Any, module: str, usual: float) -> float:
    """The value for a module: that of the first key its name ends with, as PEFT decides (`get_pattern_key`)."""
    for key, value in pattern.items() if isinstance(pattern, Mapping) else ():
        # PEFT takes regular expressions; those of a stranger's file could run for ever.
        if not PLAIN.fullmatch(key) or type(value) not in (int, float) or not 0 < value < math.inf:
            raise EngineError(f"{CONFIG} has a pattern of ranks or alphas that is not understood: {visible(key)}.")
        if f".{module}".endswith(f".{key}"):
            return float(value)
    return usual


def _whole(config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    if type(value) is not int or not 0 < value <= 4096:
        raise EngineError(f"{CONFIG} says no usable {key} ({visible(str(value))}).")
    return value


def _number(config: Mapping[str, Any], key: str) -> float:
    value = config.get(key)
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value) or not value:
        raise EngineError(f"{CONFIG} says no usable {key} ({visible(str(value))}).")
    return float(value)
