"""The steps of the training, each from files of the work folder to files of the work folder."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import torch
from diffusers import AutoencoderTiny

from chatapp import SourceFailed
from chatapp_images.training import captions, checkpoint, data, distributed, evaluate, latents, running, text, vae
from chatapp_images.training import export as exporting
from chatapp_images.training import start as starting
from chatapp_images.training.pictures import draw
from chatapp_images.training.unet import Plan

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how to train: `start` is a pipeline to go on from, None for a new one around the vectors of `minilm`.

    `vae_samples` None leaves a given pipeline's autoencoder as it is and trains a new one. `processes` 0 is as many as
    are best here.
    """

    work: Path
    start: Path | None = None
    minilm: Path | None = None
    plan: Plan = field(default_factory=Plan)
    vae_samples: int | None = None
    processes: int = 0
    niceness: int = 19
    concepts: Path = data.CONCEPTS


def fetch(setting: Setting) -> None:
    """Fetch the icons and their names."""
    data.fetch(setting.work, setting.concepts)


def begin(setting: Setting) -> None:
    """Put what the training starts from into `start`, unless that is there."""
    target = setting.work / "start"
    if target.is_dir():
        return
    partial = setting.work / "start.partial"
    shutil.rmtree(partial, ignore_errors=True)
    if setting.start is not None:
        starting.copy(setting.start, partial)
    elif setting.minilm is not None:
        english, _ = captions.vocabulary(captions.wordings(data.concepts(setting.work), {}))
        starting.create(setting.minilm, partial, english)
    else:
        raise SourceFailed("There is nothing to start from: name a pipeline's folder, or that of MiniLM.")
    partial.replace(target)


def train_vae(setting: Setting) -> None:
    """Train the autoencoder into `vae`; one that was trained before keeps its encoder, as the latents come from it."""
    source, target = setting.work / "start" / "vae", setting.work / "vae"
    model = AutoencoderTiny.from_pretrained(source).float()
    trained = model.config.scaling_factor != 1.0
    samples = setting.vae_samples if setting.vae_samples is not None else 0 if trained else 60_000
    if samples:
        icons, concepts = data.icons(setting.work), data.concepts(setting.work)
        pictures = vae.tensor_of(list(latents.pictures(icons, concepts)))
        rate = 1e-3 if trained else 2.5e-3
        plan = vae.VaePlan(samples=samples, frozen=trained, rate=rate)
        group = distributed.Group(device="cuda" if torch.cuda.is_available() else "cpu")
        group.watch()
        model = vae.train(group, plan, model, pictures, setting.work / "vae.safetensors")
        if group.asked:
            raise SystemExit(1)
        plain = vae.tensor_of([draw(icons[concept.icon]) for concept in concepts])
        log.info("vae: %.2f dB", vae.quality(model, plain))
    model.save_pretrained(target)


def make_latents(setting: Setting) -> None:
    """Compute the latents of all pictures."""
    model = AutoencoderTiny.from_pretrained(setting.work / "vae").float()
    cached = latents.compute(model, data.icons(setting.work), data.concepts(setting.work))
    latents.save(cached, setting.work / "latents.safetensors")


def extend_text(setting: Setting) -> None:
    """Add the Portuguese words to the text encoder; the UNet's training keeps what it has learnt of those it knows."""
    _, wordings = running.worded(setting.work)
    text.extend(setting.work / "start", setting.work / "text", wordings)


def train_unet(setting: Setting) -> None:
    """Train the UNet and the text encoder; stopped by SIGTERM or Ctrl+C, it goes on from there when run again."""
    count = setting.processes or distributed.processes()
    code = distributed.launch(running.run, (setting.work, setting.plan), count, setting.niceness)
    if code:
        raise SystemExit(code)
    _, facts = checkpoint.load(setting.work / "unet" / "last.safetensors")
    if facts["seen"] < facts["plan"]["samples"]:
        log.info("stopped before the end; run it again to go on")
        raise SystemExit(1)


def export(setting: Setting) -> None:
    """Write the pipeline into `export`."""
    size = exporting.write(setting.work, setting.work / "unet" / "last.safetensors", setting.work / "export")
    log.info("exported: %d bytes", size)


def judge(setting: Setting) -> None:
    """Measure the exported pipeline, draw its grids, and write its model card."""
    cached, wordings = running.worded(setting.work)
    artist = evaluate.Artist(setting.work / "export")
    figures = evaluate.measure(artist, cached, wordings)
    _, facts = checkpoint.load(setting.work / "unet" / "last.safetensors")
    figures |= {"seen": facts["seen"], "v_mse": round(facts["loss"], 4)}
    figures["size"] = round(exporting.size_of(setting.work / "export") / 1e6, 1)
    evaluate.write(figures, setting.work / "evaluation.json")
    evaluate.draw_grids(artist, setting.work)
    exporting.write_card(json.loads((setting.work / "evaluation.json").read_text("utf-8")), setting.work / "export")


STEPS = {
    "data": fetch,
    "start": begin,
    "vae": train_vae,
    "latents": make_latents,
    "text": extend_text,
    "unet": train_unet,
    "export": export,
    "evaluate": judge,
}
"""All steps by name, in their order."""
