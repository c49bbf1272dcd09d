"""Training the UNet, together with the text encoder, on cached latents."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from random import Random

import torch
from diffusers import DDIMScheduler, UNet2DConditionModel
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import BertModel, PreTrainedTokenizerBase

from chatapp_images.training import checkpoint, text
from chatapp_images.training.captions import Wording, caption
from chatapp_images.training.distributed import Group
from chatapp_images.training.latents import Latents
from chatapp_images.training.pictures import COLOURS

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train: `samples` in all, `batch` of all processes together, and what the recipe sets.

    `sync` 1 averages gradients every step; N above 1 averages weights every N steps, which waits less for a process
    that another program slows down. `tail` is the part of the samples over which the rate falls as a cosine.
    """

    samples: int = 1_000_000
    batch: int = 48
    rate: float = 1e-3
    text_rate: float = 2e-4
    word_rate: float = 1e-3
    warmup: int = 500
    tail: float = 0.3
    ema: float = 0.999
    dropout: float = 0.1
    coloured: float = 0.15
    moved: float = 0.25
    snr: float = 5.0
    seed: int = 0
    sync: int = 1
    save_every: float = 300.0
    log_every: int = 100


class Painter(nn.Module):  # type: ignore[misc]
    """The UNet and the text encoder as one module; of the word vectors, only those of `rows` are trained."""

    def __init__(self, unet: UNet2DConditionModel, encoder: BertModel, rows: Mapping[str, int]) -> None:
        super().__init__()
        self.unet, self.encoder, self.vocabulary = unet, encoder, tuple(rows)
        table, self.rows = encoder.embeddings.word_embeddings, list(rows.values())
        self.words = nn.Parameter(table.weight.detach()[self.rows].clone())
        places = torch.full((table.num_embeddings,), -1)
        places[self.rows] = torch.arange(len(rows))
        self.register_buffer("places", places, persistent=False)
        table.weight.requires_grad_(False)
        if encoder.pooler is not None:
            encoder.pooler.requires_grad_(False)

    def forward(self, noisy: torch.Tensor, t: torch.Tensor, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """What the UNet predicts for noisy latents at times `t`, told by the captions' `ids`."""
        places = self.places[ids]
        known = self.encoder.embeddings.word_embeddings(ids)
        vectors = torch.where((places >= 0)[..., None], self.words[places.clamp(min=0)], known)
        states = self.encoder(inputs_embeds=vectors, attention_mask=mask).last_hidden_state
        predicted: torch.Tensor = self.unet(noisy, t, states).sample
        return predicted

    def trained(self) -> dict[str, nn.Parameter]:
        """The parameters that are trained, by name."""
        return {name: parameter for name, parameter in self.named_parameters() if parameter.requires_grad}


def load_painter(work: Path) -> Painter:
    """The painter at its start: the UNet that a work folder starts from, and the text encoder of `text.extend`."""
    unet = UNet2DConditionModel.from_pretrained(work / "start" / "unet").float()
    encoder = BertModel.from_pretrained(work / "text" / "text_encoder", dtype=torch.float32)
    return Painter(unet, encoder, json.loads((work / "text" / "rows.json").read_text("utf-8")))


@lru_cache(maxsize=2)
def _order(epoch: int, count: int, seed: int) -> list[int]:
    order = list(range(count))
    Random(f"{seed}-epoch-{epoch}").shuffle(order)
    return order


def draw_sample(number: int, data: Latents, wordings: Sequence[Wording], plan: Plan) -> tuple[torch.Tensor, str]:
    """The latent and caption of the sample with that number in the whole training: the same ones every time."""
    random = Random(f"{plan.seed}-{number}")
    if data.recoloured and random.random() < plan.coloured:
        place, colour = random.randrange(len(data.recoloured)), random.randrange(len(COLOURS))
        latent = data.coloured[place, colour]
        told = caption(wordings[data.recoloured[place]], random, list(COLOURS)[colour])
    else:
        epoch, at = divmod(number, len(wordings))
        concept = _order(epoch, len(wordings), plan.seed)[at]
        move = random.randrange(data.plain.shape[1]) if random.random() < plan.moved else 0
        latent, told = data.plain[concept, move], caption(wordings[concept], random)
    return latent, "" if random.random() < plan.dropout else told


def rate_at(seen: int, plan: Plan) -> float:
    """The learning rate's factor after `seen` samples: a warm-up, a plateau, a cosine tail down to a fiftieth."""
    warm = min(1.0, (seen / plan.batch + 1) / plan.warmup)
    into = (seen - plan.samples * (1 - plan.tail)) / (plan.samples * plan.tail)
    return warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, into)))))


class Trainer:
    """One process's part of a training; see `Plan`."""

    def __init__(
        self,
        group: Group,
        plan: Plan,
        painter: Painter,
        tokenizer: PreTrainedTokenizerBase,
        data: Latents,
        wordings: Sequence[Wording],
        scheduler: DDIMScheduler,
    ) -> None:
        self.group, self.plan, self.data, self.wordings, self.tokenizer = group, plan, data, wordings, tokenizer
        self.painter = painter.to(group.device).train()
        self.parameters = self.painter.trained()
        self.seen = self.step = 0
        self.loss, self.stopping = 0.0, False
        self.alphas = scheduler.alphas_cumprod.to(group.device)
        self.optimizer = torch.optim.AdamW(self._groups(), betas=(0.9, 0.99), weight_decay=0.01, fused=True)
        self.average = {name: parameter.detach().clone() for name, parameter in self.parameters.items()}
        self.flat = torch.zeros(sum(p.numel() for p in self.parameters.values()) + 2, device=group.device)
        self._place_gradients()

    def _groups(self) -> list[dict[str, object]]:
        rates = {"unet": self.plan.rate, "encoder": self.plan.text_rate, "words": self.plan.word_rate}
        return [
            {
                "params": [p for name, p in self.parameters.items() if name.split(".")[0] == kind],
                "lr": rate,
                "full": rate,
            }
            for kind, rate in rates.items()
        ]

    def _place_gradients(self) -> None:
        """Gradients lie in one flat tensor, so that one exchange between the processes does for all of them."""
        start = 0
        for parameter in self.parameters.values():
            end = start + parameter.numel()
            parameter.grad = self.flat[start:end].view_as(parameter)
            start = end

    def batch(self) -> tuple[torch.Tensor, list[str], torch.Tensor, torch.Tensor]:
        """Latents, captions, times and noise of this process's part of the next step."""
        size = self.plan.batch // self.group.size
        first = self.group.rank * size
        found = [draw_sample(self.seen + first + i, self.data, self.wordings, self.plan) for i in range(size)]
        generator = torch.Generator().manual_seed((self.plan.seed * 1_000_003 + self.step) * 64 + self.group.rank)
        # Stratified: every step has times from all parts of the range, which makes its gradient less noisy.
        part = (torch.arange(first, first + size) + torch.rand(size, generator=generator)) / self.plan.batch
        clean = torch.stack([latent for latent, _ in found])
        noise = torch.randn(clean.shape, generator=generator)
        times = (part * len(self.alphas)).long().clamp(max=len(self.alphas) - 1)
        device = self.group.device
        return clean.to(device), [told for _, told in found], times.to(device), noise.to(device)

    def losses(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The weighted loss of the next batch and the plain one: velocity (Salimans & Ho 2022), min-SNR (Hang 2023)."""
        clean, told, times, noise = self.batch()
        ids, mask = (tensor.to(self.group.device) for tensor in text.tokenize(self.tokenizer, told))
        kept = self.alphas[times].view(-1, 1, 1, 1)
        noisy = kept.sqrt() * clean + (1 - kept).sqrt() * noise
        velocity = kept.sqrt() * noise - (1 - kept).sqrt() * clean
        with torch.autocast(self.group.device.split(":")[0], torch.bfloat16, enabled=half_precision(self.group.device)):
            predicted = self.painter(noisy, times, ids, mask)
        error = (predicted.float() - velocity).square().mean(dim=(1, 2, 3))
        ratio = (kept / (1 - kept)).flatten()
        weight = ratio.clamp(max=self.plan.snr) / (ratio + 1)
        return (error * weight).mean(), error.detach().mean()

    def advance(self) -> None:
        """One step of all processes."""
        self.flat.zero_()
        # So few tokens are a fifth faster without the fused kernel on a processor.
        with sdpa_kernel(SDPBackend.MATH) if self.group.device == "cpu" else nullcontext():
            weighted, plain = self.losses()
            weighted.backward()
        self.flat[-2], self.flat[-1] = float(self.group.asked), plain
        if self.plan.sync == 1:
            self._exchange(self.flat)
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), 1.0)
        factor = rate_at(self.seen, self.plan)
        for options in self.optimizer.param_groups:
            options["lr"] = options["full"] * factor
        self.optimizer.step()
        self.step += 1
        self.seen += self.plan.batch
        if self.plan.sync > 1 and self.step % self.plan.sync == 0:
            self._average_weights()
        self._follow()
        self.loss += (float(self.flat[-1]) - self.loss) / min(self.step, 500)

    def _exchange(self, flat: torch.Tensor) -> None:
        self.group.mean(flat)
        self.stopping = bool(flat[-2] > 0)

    def _average_weights(self) -> None:
        with torch.no_grad():
            for parameter in self.parameters.values():
                parameter.grad.copy_(parameter)
            self._exchange(self.flat)
            for parameter in self.parameters.values():
                parameter.copy_(parameter.grad)

    def _follow(self) -> None:
        """The moving average of the weights, which is what is used in the end."""
        decay = min(self.plan.ema, (1 + self.step) / (10 + self.step))
        current = [parameter.detach() for parameter in self.parameters.values()]
        torch._foreach_lerp_(list(self.average.values()), current, 1 - decay)

    def _named(self) -> dict[nn.Parameter, str]:
        return {parameter: name for name, parameter in self.parameters.items()}

    def save(self, path: Path) -> None:
        """Write all that `resume` needs."""
        tensors = {f"now.{name}": parameter.detach() for name, parameter in self.parameters.items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.items()}
        tensors |= {f"adam.{name}": t for name, t in checkpoint.moments(self.optimizer, self._named()).items()}
        facts = {"seen": self.seen, "step": self.step, "loss": self.loss, "plan": asdict(self.plan)}
        checkpoint.save(path, tensors, facts | {"words": self.painter.vocabulary})

    def resume(self, path: Path) -> None:
        """Go on from a saved training; words that it did not have keep the vectors they start from."""
        tensors, facts = checkpoint.load(path)
        words = self.parameters["words"].detach()
        starts = {"now.words": words, "average.words": words}
        starts |= {f"adam.{moment}.words": torch.zeros_like(words) for moment in checkpoint.MOMENTS}
        for name, start in starts.items():
            if name in tensors:
                tensors[name] = checkpoint.placed(tensors[name], facts["words"], self.painter.vocabulary, start)
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(tensors[f"now.{name}"])
                self.average[name].copy_(tensors[f"average.{name}"])
        checkpoint.restore(self.optimizer, self._named(), checkpoint.part(tensors, "adam"))
        self.seen, self.step, self.loss = facts["seen"], facts["step"], facts["loss"]


def half_precision(device: str) -> bool:
    """Whether bfloat16 is faster there than float32."""
    able = torch.cpu.get_capabilities()
    return device != "cpu" or bool(able.get("avx512_bf16") or able.get("amx_bf16"))
