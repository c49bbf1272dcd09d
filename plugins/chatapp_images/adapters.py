"""Low-rank adapters (Hu et al., 2021) of image models, added into the weights they were trained over.

W becomes W + scale * alpha / rank * up @ down. The sum is not taken back by subtraction, which would round: other
adapters or scales mean loading the model's own weights again. Reads the layouts of diffusers, PEFT and Kohya.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chatapp import Adapter, EngineError
from chatapp_images.weights import read_header

# What each layout calls the two factors, behind the module's name.
DOWN = re.compile(r"(.+?)[._](?:lora_A|lora_down|lora\.down|down)(?:\.default)?\.weight")
UP = re.compile(r"(.+?)[._](?:lora_B|lora_up|lora\.up|up)(?:\.default)?\.weight")
ALPHA = re.compile(r"(.+?)\.alpha")
KOHYA = {"lora_unet_": "unet", "lora_te1_": "text_encoder", "lora_te2_": "text_encoder_2", "lora_te_": "text_encoder"}
PARTS = ("unet", "transformer", "text_encoder", "text_encoder_2")


@dataclass(slots=True)
class Factors:
    """What an adapter has for one module."""

    down: Any = None
    up: Any = None
    alpha: float | None = None


def merge(pipeline: Any, adapters: Sequence[Adapter]) -> None:
    """Add the adapters into the pipeline's weights; EngineError in one sentence where one does not belong to it."""
    for adapter in adapters:
        if not -10 <= adapter.scale <= 10:
            raise EngineError(f"The adapter {adapter.name} has the scale {adapter.scale:g}: choose one from -10 to 10.")
        path = Path(adapter.path)
        # Checked before the library maps it into memory.
        read_header(path)
        _merge_one(pipeline, adapter, _factors(_tensors(path, pipeline), adapter))


def _tensors(path: Path, pipeline: Any) -> dict[str, Any]:
    from safetensors.torch import load_file

    tensors = dict(load_file(str(path)))
    if any("input_blocks" in name or "output_blocks" in name for name in tensors):
        from diffusers.loaders.lora_conversion_utils import _maybe_map_sgm_blocks_to_diffusers

        tensors = _maybe_map_sgm_blocks_to_diffusers(tensors, pipeline.unet.config)
    return tensors


def _factors(tensors: Mapping[str, Any], adapter: Adapter) -> dict[str, Factors]:
    """The factors by the name of their module as the file writes it."""
    found: dict[str, Factors] = {}
    for name, tensor in tensors.items():
        for pattern, field in ((DOWN, "down"), (UP, "up"), (ALPHA, "alpha")):
            match = pattern.fullmatch(name)
            if match:
                value = float(tensor) if field == "alpha" else tensor
                setattr(found.setdefault(match[1], Factors()), field, value)
                break
        else:
            raise EngineError(
                f"The adapter {adapter.name} holds {name[:80]!r}, which is no plain low-rank weight: choose another."
            )
    if not found or any(each.down is None or each.up is None for each in found.values()):
        raise EngineError(f"The adapter {adapter.name} is incomplete: download it again.")
    return found


def _merge_one(pipeline: Any, adapter: Adapter, factors: Mapping[str, Factors]) -> None:
    modules = _modules(pipeline)
    strange = [name for name in factors if _key(name) not in modules]
    if strange:
        raise EngineError(
            f"The adapter {adapter.name} was made for another model ({len(strange)} of its {len(factors)} modules are "
            f"not in this one, such as {strange[0][:80]!r}): choose one made for this model."
        )
    for name, each in factors.items():
        weight = modules[_key(name)].weight
        change = _change(each, weight)
        if change is None:
            raise EngineError(
                f"The adapter {adapter.name} was made for another model (its {name[:80]!r} has other sizes): choose "
                "one made for this model."
            )
        weight.data.add_(change.to(weight), alpha=adapter.scale)


def _change(each: Factors, weight: Any) -> Any:
    """alpha / rank * up @ down in the weight's shape, None where the sizes do not fit together."""
    down, up = each.down.float(), each.up.float()
    rank = down.shape[0]
    if up.flatten(1).shape[1] != rank or weight.shape[0] != up.shape[0]:
        return None
    product = up.flatten(1) @ down.flatten(1)
    if product.numel() != weight.numel():
        return None
    return product.reshape(weight.shape) * ((each.alpha if each.alpha is not None else rank) / rank)


def _modules(pipeline: Any) -> dict[str, Any]:
    """The modules with a weight, by part and name in Kohya's spelling, into which all others can be turned."""
    found: dict[str, Any] = {}
    for part in PARTS:
        model = getattr(pipeline, part, None)
        if model is not None:
            named = ((name, module) for name, module in model.named_modules() if hasattr(module, "weight"))
            found |= {f"{part}_{name.replace('.', '_')}": module for name, module in named}
    return found


def _key(name: str) -> str:
    """The module's name as `_modules` spells it."""
    for prefix, part in KOHYA.items():
        if name.startswith(prefix):
            return f"{part}_{name.removeprefix(prefix)}"
    # Old files of diffusers name the processor of an attention instead of its module.
    plain = name.replace(".processor", "").replace("_lora", "").removeprefix("base_model.model.")
    plain = plain if plain.startswith(PARTS) else f"unet.{plain}"
    return re.sub(r"to_out(?!\.0)", "to_out.0", plain).replace(".", "_")
