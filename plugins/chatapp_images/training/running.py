"""The UNet's training from start to end: checkpoints, the plan that may change meanwhile, the log."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from diffusers import DDIMScheduler
from diffusers.utils import logging as diffusers_logging
from transformers import AutoTokenizer

from chatapp import SourceFailed
from chatapp_images.training import data, latents
from chatapp_images.training.captions import Wording, wordings
from chatapp_images.training.distributed import Group
from chatapp_images.training.unet import Plan, Trainer, load_painter

log = logging.getLogger(__name__)
CHANGEABLE = ("samples", "sync", "save_every")


def worded(folder: Path) -> tuple[latents.Latents, list[Wording]]:
    """The cached latents of a work folder and the wording of each of their concepts."""
    cached = latents.load(folder / "latents.safetensors")
    found = {concept.icon: concept for concept in data.concepts(folder)}
    if any(icon not in found for icon in cached.icons):
        raise SourceFailed("The list of concepts has changed: run the steps latents and text again.")
    known = [found[icon] for icon in cached.icons]
    return cached, wordings(known, dict(zip(cached.icons, cached.colours, strict=True)))


def prepare_trainer(group: Group, folder: Path, plan: Plan) -> Trainer:
    """A trainer on what the earlier steps left in the work folder, at its start."""
    cached, told = worded(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder / "text" / "tokenizer")
    scheduler = DDIMScheduler.from_pretrained(folder / "start" / "scheduler")
    return Trainer(group, plan, load_painter(folder), tokenizer, cached, told, scheduler)


def run(group: Group, folder: Path, plan: Plan) -> None:
    """Train in this process, together with the group's others, until the plan's samples are seen or it is stopped."""
    logging.basicConfig(level=logging.INFO if group.rank == 0 else logging.WARNING, format="%(asctime)s %(message)s")
    diffusers_logging.set_verbosity_error()
    trainer = prepare_trainer(group, folder, plan)
    last = folder / "unet" / "last.safetensors"
    if last.is_file():
        trainer.resume(last)
    train(trainer, folder / "unet")


def train(trainer: Trainer, folder: Path) -> None:
    """Train to the end of the plan, or until the process is asked to end; either way `last.safetensors` is saved."""
    saved = logged = time.monotonic()
    before = trainer.seen
    while trainer.seen < trainer.plan.samples and not trainer.stopping:
        in_tail = _in_tail(trainer)
        if trainer.step % trainer.plan.log_every == 0:
            trainer.plan = _changed(trainer, folder / "plan.json")
            now = time.monotonic()
            _tell(trainer, (trainer.seen - before) / max(now - logged, 1e-9), folder)
            before, logged = trainer.seen, now
        trainer.advance()
        if trainer.group.rank == 0 and time.monotonic() - saved > trainer.plan.save_every:
            trainer.save(folder / "last.safetensors")
            saved = time.monotonic()
        if trainer.group.rank == 0 and _in_tail(trainer) and not in_tail:
            trainer.save(folder / "before-tail.safetensors")
    if trainer.group.rank == 0:
        trainer.save(folder / "last.safetensors")
        log.info("stopped at %d samples", trainer.seen)


def _in_tail(trainer: Trainer) -> bool:
    return trainer.seen >= trainer.plan.samples * (1 - trainer.plan.tail)


def _changed(trainer: Trainer, path: Path) -> Plan:
    """The plan with what the file says, if there is one; all processes follow the first one's reading."""
    plan = trainer.plan
    values = [float(getattr(plan, name)) for name in CHANGEABLE]
    if trainer.group.rank == 0 and path.is_file():
        try:
            asked: dict[str, Any] = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            # Someone may be writing it: the next reading sees it whole.
            log.warning("%s cannot be read: %s", path, error)
        else:
            values = [float(asked.get(name, value)) for name, value in zip(CHANGEABLE, values, strict=True)]
    samples, sync, save_every = trainer.group.shared(values)
    return replace(plan, samples=int(samples), sync=int(sync), save_every=save_every)


def _tell(trainer: Trainer, speed: float, folder: Path) -> None:
    if trainer.group.rank:
        return
    facts = {"time": time.strftime("%H:%M:%S"), "seen": trainer.seen, "v_mse": round(trainer.loss, 4)}
    facts |= {"per_second": round(speed, 1), "planned": trainer.plan.samples}
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(facts) + "\n")
    log.info("%s", facts)
