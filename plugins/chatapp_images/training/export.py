"""The trained parts as a stock diffusers folder, in half precision, with licences and a model card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderTiny, DDIMScheduler, StableDiffusionPipeline
from diffusers.utils import logging as diffusers_logging
from transformers import AutoTokenizer

from chatapp import SourceFailed
from chatapp_images.training import checkpoint
from chatapp_images.training.unet import Painter, load_painter

LIMIT = 25_000_000
"""Bytes that the exported folder may hold."""
_HERE = Path(__file__).parent
_UNWANTED = ("_name_or_path", "name_or_path", "block_out_channels")


def averaged(work: Path, saved: Path) -> Painter:
    """The painter with the moving average of a saved training's weights, its word vectors put in their places."""
    painter = load_painter(work)
    tensors, facts = checkpoint.load(saved)
    found = checkpoint.part(tensors, "average")
    found["words"] = checkpoint.placed(found["words"], facts["words"], painter.vocabulary, painter.words.detach())
    with torch.no_grad():
        for name, parameter in painter.trained().items():
            parameter.copy_(found[name])
        painter.encoder.embeddings.word_embeddings.weight[painter.rows] = painter.words
    painter.eval()
    return painter


def write(work: Path, saved: Path, target: Path) -> int:
    """Write the pipeline to `target`, replacing what stood there; its size in bytes.

    SourceFailed when it is larger than may be.
    """
    diffusers_logging.set_verbosity_error()
    painter = averaged(work, saved)
    pipeline = StableDiffusionPipeline(
        vae=AutoencoderTiny.from_pretrained(work / "vae"),
        text_encoder=painter.encoder,
        tokenizer=AutoTokenizer.from_pretrained(work / "text" / "tokenizer"),
        unet=painter.unet,
        scheduler=DDIMScheduler.from_pretrained(work / "start" / "scheduler"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    pipeline.to(torch.float16).save_pretrained(partial)
    for config in partial.rglob("*.json"):
        _tidy(config)
    for weights in partial.rglob("*.safetensors"):
        # They are written for their owner alone, and would be installed so.
        weights.chmod(0o644)
    write_licence(work / "npm", partial)
    size = size_of(partial)
    if size > LIMIT:
        raise SourceFailed(
            f"The model takes {size} bytes, more than {LIMIT}: add fewer words, or make the UNet smaller."
        )
    shutil.rmtree(target, ignore_errors=True)
    partial.replace(target)
    return size


def _tidy(config: Path) -> None:
    """Take out this machine's folders, what AutoencoderTiny complains of, and half precision.

    Only the text encoder would be loaded in that, and then not fit the other parts.
    """
    content: dict[str, Any] = json.loads(config.read_text("utf-8"))
    wanted = ("block_out_channels",) if content.get("_class_name") == "UNet2DConditionModel" else ()
    found = [content.pop(name, None) for name in _UNWANTED if name not in wanted]
    if "dtype" in content:
        found.append(content["dtype"])
        content["dtype"] = "float32"
    if any(found):
        config.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def write_licence(npm: Path, target: Path) -> None:
    """Write the notices of all that the model was made from; emojibase's own stands in the npm package."""
    emojibase = (npm / "emojibase-data" / "LICENSE").read_text("utf-8").strip()
    mit = emojibase[emojibase.index("Permission is hereby granted") :]
    filled = (_HERE / "licence.txt").read_text("utf-8").format(mit=mit, emojibase=emojibase)
    (target / "LICENSE").write_text(filled, "utf-8")


def write_card(figures: Mapping[str, Any], target: Path) -> None:
    """Write the model card, `README.md`, with the figures that `evaluate.measure` gave."""
    shown = {
        name: f"{100 * value:.0f} %" if isinstance(value, float) and 0 <= value <= 1 else value
        for name, value in figures.items()
    }
    card = (_HERE / "card.md").read_text("utf-8")
    (target / "README.md").write_text(card.format(**shown), "utf-8")
