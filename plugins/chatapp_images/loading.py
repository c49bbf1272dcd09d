"""Loading a pipeline in the child process: one set of weights, and the three pipelines that paint with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from chatapp import EngineError, ModelError
from chatapp_images.adapters import merge
from chatapp_images.checking import INDEX, Layout, check_folder, read_json
from chatapp_images.fitting import Savings, fit, free_memory, need
from chatapp_images.setups import SMALL, Setup
from chatapp_images.weights import read_header

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
NONE = {"safety_checker": None, "feature_extractor": None, "image_encoder": None, "requires_safety_checker": False}


@dataclass(slots=True)
class Pipelines:
    """A loaded model: diffusers' pipelines for its tasks share one set of weights, and are made when first used."""

    base: Any
    device: str
    precision: str
    savings: Savings
    scheduler: Any
    _made: dict[str, Any] = field(default_factory=dict)

    def of(self, task: str) -> Any:
        """The pipeline for "paint", "edit", "inpaint" or "enlarge"; EngineError where the model has none."""
        if task not in self._made:
            self._made[task] = self._make(task)
        return self._made[task]

    def _make(self, task: str) -> Any:
        if task in ("paint", "enlarge"):
            return self.base
        from diffusers import AutoPipelineForImage2Image, AutoPipelineForInpainting

        maker = AutoPipelineForImage2Image if task == "edit" else AutoPipelineForInpainting
        try:
            made = maker.from_pipe(self.base)
        except ValueError as error:
            raise EngineError(f"{type(self.base).__name__} cannot {task} pictures: choose another model.") from error
        made.set_progress_bar_config(disable=True)
        return made


def load(made: Setup) -> Pipelines:
    """Load what `made` names; EngineError or ModelError in one sentence when that cannot be, or would not fit."""
    _quiet()
    layout = check_folder(made.chosen.path) if not made.chosen.single else None
    parameters = layout.parameters() if layout else {"file": read_header(made.chosen.path).count}
    device = _device(made.device)
    precision = _precision(made.precision, device, sum(parameters.values()))
    copies, offloads = find_spec("accelerate") is None, find_spec("accelerate") is not None and device != "cpu"
    width, height = own_size(made)
    wanted = need(parameters, width, height, BYTES[precision], copies)
    savings = fit(made.chosen.name, wanted, free_memory(device), offloads)
    try:
        base = _read(made, layout, precision)
    except (EngineError, ModelError):
        raise
    except Exception as error:
        # The library raises whatever its parts raise for a broken folder.
        raise EngineError(f"The model {made.chosen.name} cannot be loaded: {_clause(error)}.") from error
    base.set_progress_bar_config(disable=True)
    merge(base, made.adapters)
    _place(base, device, savings)
    _taesd(base, made)
    return Pipelines(base, device, precision, savings, base.scheduler)


def own_size(made: Setup) -> tuple[int, int]:
    """Width and height in pixels that the model was trained for."""
    if made.chosen.entry is not None:
        return made.chosen.entry.width, made.chosen.entry.height
    folder = made.config or made.chosen.path
    config = _config(folder, "unet") or _config(folder, "transformer")
    factor = 2 ** (len(_config(folder, "vae").get("block_out_channels", [0] * 4)) - 1)
    side = config.get("sample_size")
    return (side * factor, side * factor) if isinstance(side, int) and 1 <= side <= 1024 else (512, 512)


def _config(folder: Path, part: str) -> Mapping[str, Any]:
    path = folder / part / "config.json"
    return read_json(path) if path.is_file() else {}


def _read(made: Setup, layout: Layout | None, precision: str) -> Any:
    import diffusers
    import torch

    name = layout.pipeline if layout else str(read_json(made.config / INDEX).get("_class_name")) if made.config else ""
    kind = getattr(diffusers, name, None)
    if kind is None:
        raise ModelError(f"{made.chosen.name} is a {name}, which this version of diffusers does not have.")
    # The plain Stable Diffusion takes all these; others say which they know.
    known = kind._get_signature_keys(kind)
    none = {name: value for name, value in NONE.items() if name in {*known[0], *known[1]}}
    common = {"dtype": getattr(torch, precision), "local_files_only": True, **none}
    if layout is None:
        return kind.from_single_file(str(made.chosen.path), config=str(made.config), **common)
    paints = made.chosen.entry is None or made.chosen.entry.task == "paint"
    maker = diffusers.AutoPipelineForText2Image if paints else diffusers.DiffusionPipeline
    return maker.from_pretrained(str(made.chosen.path), variant=layout.variant, use_safetensors=True, **common)


def _place(base: Any, device: str, savings: Savings) -> None:
    """Put the weights onto the device, and switch on what saves memory."""
    if savings.slices:
        base.enable_attention_slicing()
        for name in ("enable_slicing", "enable_tiling"):
            getattr(base.vae, name, lambda: None)()
    if savings.offload:
        base.enable_model_cpu_offload(device=device)
    else:
        base.to(device)


def _taesd(base: Any, made: Setup) -> None:
    """A tiny autoencoder in the model's folder "taesd" decodes previews; see Bohan (2023), TAESD."""
    folder = made.chosen.path / "taesd"
    if not folder.is_dir():
        return
    from diffusers import AutoencoderTiny

    for path in folder.glob("*.safetensors"):
        read_header(path)
    base.preview_vae = AutoencoderTiny.from_pretrained(str(folder), dtype=base.dtype, use_safetensors=True).to(
        base.device
    )


def _device(wanted: str) -> str:
    """The device to compute on; EngineError where this machine does not have the one that is asked for."""
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if wanted == "auto":
        return "cuda" if cuda else "mps" if mps else "cpu"
    kind, _, number = wanted.partition(":")
    there = kind == "cpu" or (kind == "mps" and mps) or (kind == "cuda" and cuda)
    if not there or (number and not (number.isdigit() and kind == "cuda" and int(number) < torch.cuda.device_count())):
        raise EngineError(f"This machine has no device {wanted!r} for torch: set images.device to auto.")
    return wanted


def _precision(wanted: str, device: str, parameters: int) -> str:
    """The precision to compute in: `wanted`, or for "auto" what suits the device and the model's size."""
    if wanted != "auto":
        return wanted
    # What a device gains with a small model is not worth numbers that can run over.
    if parameters < SMALL and device != "cpu":
        return "float32"
    import torch

    if device.startswith("cuda"):
        return "bfloat16" if torch.cuda.is_bf16_supported() else "float16"
    able = torch.cpu.get_capabilities() if device == "cpu" else {}
    # Other processors emulate bfloat16, which is slower than float32; measured with the icons, on a processor that has
    # it, one thread made 20 steps in 0.28 s instead of 0.35, and pictures that differ by 41 dB.
    return (
        "float16" if device == "mps" else "bfloat16" if able.get("avx512_bf16") or able.get("amx_bf16") else "float32"
    )


def _quiet() -> None:
    """The libraries' notices about models they were not written for are for nobody to read."""
    import diffusers
    import transformers

    diffusers.utils.logging.set_verbosity_error()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    diffusers.utils.logging.disable_progress_bar()


def _clause(error: BaseException) -> str:
    return (" ".join(str(error).split())[:300] or type(error).__name__).rstrip(".")
