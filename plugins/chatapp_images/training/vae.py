"""Training the autoencoder: a small network like TAESD that turns 64x64 pixels into 16x16x4 latents."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from torch.nn import functional

from chatapp_images.training import checkpoint
from chatapp_images.training.distributed import Group
from chatapp_images.training.pictures import Pixels
from chatapp_images.training.unet import half_precision

log = logging.getLogger(__name__)
ARCHITECTURE = {
    "encoder_block_out_channels": (32, 32, 32),
    "decoder_block_out_channels": (32, 32, 32),
    "num_encoder_blocks": (1, 1, 1),
    "num_decoder_blocks": (2, 2, 1),
    "latent_channels": 4,
}


@dataclass(frozen=True, slots=True)
class VaePlan:
    """How to train the autoencoder; with `frozen`, the encoder and thereby the latents stay as they are.

    Up to `noise` is added to the latents, so that the decoder makes clean pictures of a UNet's, which are never exact.
    """

    samples: int = 60_000
    batch: int = 32
    rate: float = 2.5e-3
    warmup: int = 100
    ema: float = 0.995
    noise: float = 0.1
    frozen: bool = False
    seed: int = 0
    save_every: float = 300.0


def create() -> AutoencoderTiny:
    """A new, untrained autoencoder."""
    torch.manual_seed(0)
    return AutoencoderTiny(**ARCHITECTURE)


def loss_of(made: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """How far pictures in [-1, 1] are apart: pixels, edges, and the colours of 4x4 tiles.

    The coarse colours count most: without them flat areas lose their saturation first.
    """
    pixels = (made - wanted).abs().mean()
    edges = sum((made.diff(dim=dim) - wanted.diff(dim=dim)).abs().mean() for dim in (2, 3))
    tiles = functional.avg_pool2d(made, 4) - functional.avg_pool2d(wanted, 4)
    chroma = tiles - tiles.mean(dim=1, keepdim=True)
    return pixels + 0.3 * edges + 1.5 * (tiles.abs().mean() + 2 * chroma.abs().mean())


def moments_loss(latents: torch.Tensor) -> torch.Tensor:
    """How far each latent channel is from mean 0 and deviation 1."""
    mean, deviation = latents.mean(dim=(0, 2, 3)), latents.std(dim=(0, 2, 3))
    return (mean.square() + (deviation - 1).square()).mean()


class VaeTrainer:
    """Trains an autoencoder on pictures (count, 3, h, w) in [-1, 1]; the same seed gives the same weights."""

    def __init__(self, group: Group, plan: VaePlan, vae: AutoencoderTiny, pictures: torch.Tensor) -> None:
        self.group, self.plan, self.vae, self.pictures = group, plan, vae.to(group.device).train(), pictures
        vae.encoder.requires_grad_(not plan.frozen)
        self.parameters = {name: p for name, p in vae.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.AdamW(self.parameters.values(), lr=plan.rate, betas=(0.9, 0.99), weight_decay=0.0)
        self.average = {name: p.detach().clone() for name, p in self.parameters.items()}
        self.step = 0

    @property
    def seen(self) -> int:
        """Samples so far."""
        return self.step * self.plan.batch

    def advance(self) -> float:
        """One step; its loss."""
        generator = torch.Generator().manual_seed(self.plan.seed * 1_000_003 + self.step)
        chosen = torch.randint(len(self.pictures), (self.plan.batch,), generator=generator)
        wanted = self.pictures[chosen].to(self.group.device)
        device = self.group.device.split(":")[0]
        with torch.autocast(device, torch.bfloat16, enabled=half_precision(self.group.device)):
            latents = self.vae.encode(wanted).latents
            noise = torch.randn(latents.shape, generator=generator).to(latents.device)
            level = self.plan.noise * torch.rand(len(chosen), 1, 1, 1, generator=generator).to(latents.device)
            made = self.vae.decode(latents + level * noise).sample
        loss = loss_of(made.float(), wanted)
        if not self.plan.frozen:
            loss = loss + 0.02 * moments_loss(latents.float())
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), 1.0)
        for options in self.optimizer.param_groups:
            options["lr"] = self.plan.rate * self._factor()
        self.optimizer.step()
        self.step += 1
        decay = min(self.plan.ema, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.values()), [p.detach() for p in self.parameters.values()], 1 - decay)
        return float(loss.detach())

    def _factor(self) -> float:
        warm = min(1.0, (self.step + 1) / self.plan.warmup)
        return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, self.seen / self.plan.samples)))

    def save(self, path: Path) -> None:
        """Write all that `resume` needs."""
        names = {parameter: name for name, parameter in self.parameters.items()}
        tensors = {f"now.{name}": parameter.detach() for name, parameter in self.parameters.items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.items()}
        tensors |= {f"adam.{name}": tensor for name, tensor in checkpoint.moments(self.optimizer, names).items()}
        checkpoint.save(path, tensors, {"step": self.step})

    def resume(self, path: Path) -> None:
        """Go on from a saved training."""
        tensors, facts = checkpoint.load(path)
        names = {parameter: name for name, parameter in self.parameters.items()}
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(tensors[f"now.{name}"])
                self.average[name].copy_(tensors[f"average.{name}"])
        checkpoint.restore(self.optimizer, names, checkpoint.part(tensors, "adam"))
        self.step = facts["step"]

    def finished(self) -> AutoencoderTiny:
        """The autoencoder with the averaged weights, its scaling factor set to what makes latents of deviation 1."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(self.average[name])
        vae = self.vae.cpu().eval()
        if not self.plan.frozen:
            with torch.inference_mode():
                deviation = float(vae.encode(self.pictures[:512]).latents.std())
            vae.register_to_config(scaling_factor=1 / deviation)
        return vae


def tensor_of(pictures: Sequence[Pixels]) -> torch.Tensor:
    """The pictures as the autoencoder takes them, (count, 3, h, w) in [-1, 1]."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def quality(vae: AutoencoderTiny, pictures: torch.Tensor) -> float:
    """The mean peak signal-to-noise ratio, in dB, of pictures after the way through the latents."""
    with torch.inference_mode():
        made = torch.cat([vae(part).sample.clamp(-1, 1) for part in pictures.split(64)])
    error = (made - pictures).square().mean(dim=(1, 2, 3)) / 4
    return float((-10 * error.log10()).mean())


def train(group: Group, plan: VaePlan, vae: AutoencoderTiny, pictures: torch.Tensor, saved: Path) -> AutoencoderTiny:
    """The autoencoder after its training, which goes on from `saved` if that is there and saves itself there."""
    trainer = VaeTrainer(group, plan, vae, pictures)
    if saved.is_file():
        trainer.resume(saved)
    last = time.monotonic()
    while trainer.seen < plan.samples and not group.asked:
        loss = trainer.advance()
        if trainer.step % 100 == 0:
            log.info("vae: %d of %d samples, loss %.4f", trainer.seen, plan.samples, loss)
        if time.monotonic() - last > plan.save_every:
            trainer.save(saved)
            last = time.monotonic()
    trainer.save(saved)
    return trainer.finished()
