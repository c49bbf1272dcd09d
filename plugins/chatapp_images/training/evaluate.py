"""How good the exported model is: the right concept, the right colour, and a grid to look at."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import torch
from diffusers import AutoPipelineForText2Image
from diffusers.utils import logging as diffusers_logging
from PIL import Image, ImageDraw, ImageFont

from chatapp_images.training.captions import Wording, nouns, substantives
from chatapp_images.training.latents import Latents
from chatapp_images.training.pictures import COLOURS, GREYS, SIZE, Pixels, colour_name, hsl
from chatapp_images.training.portuguese import coloured
from chatapp_images.training.text import plain
from chatapp_images.training.unet import half_precision

log = logging.getLogger(__name__)
GRID = (
    "red apple", "cat face", "house", "pizza", "car", "tree", "red heart", "guitar",
    "sun", "fish", "alarm clock", "rocket", "dog", "flower", "bicycle", "airplane",
    "banana", "umbrella", "star", "robot", "boat", "coffee", "butterfly", "soccer ball",
)  # fmt: skip
"""The common prompts that a person should be able to name from the pictures."""
MORE = (
    "maçã vermelha", "gato", "casa azul", "carro verde", "uma árvore", "coração roxo", "violão", "peixe amarelo",
    "blue car", "green apple", "purple heart", "yellow house", "pink balloon", "black cat", "orange fish",
    "blue rocket", "maca vermelha", "kitten", "a small dog", "spaceship", "a house with a tree", "smiling cat",
    "ship at sea", "beer and pizza",
)  # fmt: skip
"""Colours, Portuguese, and prompts at the edge of what was learnt."""
STEPS, GUIDANCE = 20, 3.0
"""What the figures are measured with."""
WHITE = 0.93
"""Lightness from which a pixel is taken for paper."""


class Artist:
    """The exported pipeline, drawing several prompts at once; the same seed draws the same picture."""

    def __init__(self, folder: Path, *, steps: int = STEPS, guidance: float = GUIDANCE) -> None:
        diffusers_logging.set_verbosity_error()
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.pipeline = AutoPipelineForText2Image.from_pretrained(folder).to(self.device, torch.float32)
        self.pipeline.set_progress_bar_config(disable=True)
        self.steps, self.guidance = steps, guidance

    def latents(self, prompts: Sequence[str], seed: int = 0, batch: int = 8) -> torch.Tensor:
        """The finished latents of the prompts, (prompts, 4, h, w)."""
        found = []
        half = half_precision(self.device)
        for start in range(0, len(prompts), batch):
            part = list(prompts[start : start + batch])
            generators = [torch.Generator().manual_seed(seed + start + place) for place in range(len(part))]
            with torch.autocast(self.device, torch.bfloat16, enabled=half):
                made = self.pipeline(
                    part,
                    num_inference_steps=self.steps,
                    guidance_scale=self.guidance,
                    generator=generators,
                    output_type="latent",
                    height=SIZE,
                    width=SIZE,
                )
            found.append(made.images.float().cpu())
        return torch.cat(found)

    def decode(self, latents: torch.Tensor) -> list[Pixels]:
        """The pictures of finished latents."""
        vae = self.pipeline.vae
        with torch.inference_mode():
            pixels = vae.decode(latents.to(self.device) / vae.config.scaling_factor).sample.cpu()
        scaled = ((pixels.clamp(-1, 1) + 1) * 127.5).round().permute(0, 2, 3, 1)
        return list(scaled.to(torch.uint8).numpy())


def ranks(made: torch.Tensor, wanted: Sequence[int], data: Latents) -> list[int]:
    """For each made latent, how many concepts are nearer to it than the wanted one: 0 when that is the nearest.

    A concept is as far away as the nearest of its training latents, by the mean squared distance.
    """
    flat = data.plain.flatten(2)
    found = []
    for latent, concept in zip(made.flatten(1), wanted, strict=True):
        distances = (flat - latent).square().mean(dim=2).amin(dim=1)
        found.append(int((distances < distances[concept]).sum()))
    return found


def sampled(data: Latents, count: int = 100) -> list[int]:
    """The places of the fixed concepts to test, spread over the list."""
    everyone = range(len(data.icons))
    return sorted(Random(5).sample(everyone, min(count, len(everyone))))


def shown_colour(picture: Pixels, wanted: str = "") -> str:
    """The basic colour that covers most of what is drawn, "" for an empty paper; greys count only if one is wanted."""
    found = Counter[str]()
    for red, green, blue in (picture.reshape(-1, 3) // 16 * 16 + 8).tolist():
        colour = f"#{red:02x}{green:02x}{blue:02x}"
        name = colour_name(colour)
        if hsl(colour)[2] < WHITE and (wanted in GREYS or name not in GREYS):
            found[name] += 1
    return found.most_common(1)[0][0] if found else ""


def colour_prompts(data: Latents, wordings: Sequence[Wording], *, learnt: bool = True) -> list[tuple[str, str, str]]:
    """(colour, English prompt, Portuguese prompt) of five things in each colour; white would not show on paper.

    With `learnt`, of things that were learnt in all colours, else of the others.
    """
    random = Random(3)
    places = [place for place in range(len(wordings)) if (place in data.recoloured) == learnt]
    places = [place for place in places if substantives(wordings[place])]
    found = []
    for colour in (name for name in COLOURS if name != "white"):
        for place in random.sample(places, min(5, len(places))):
            named = substantives(wordings[place])[0]
            english = f"{colour} {nouns(wordings[place])[0]}"
            found.append((colour, english, coloured(named.text, named.gender, colour)))
    return found


def measure(artist: Artist, data: Latents, wordings: Sequence[Wording]) -> dict[str, Any]:
    """The figures of the model: names `card.md` uses, parts from 0 to 1, and what went wrong, to look at."""
    places = sampled(data)
    began = time.process_time()
    english = ranks(artist.latents([wordings[place].names[0] for place in places], 7), places, data)
    seconds = (time.process_time() - began) / len(places)
    portuguese = ranks(artist.latents([wordings[place].portuguese[0].text for place in places], 7), places, data)
    figures: dict[str, Any] = {"concepts": len(data.icons), "tested": len(places), "cpu_seconds": round(seconds, 3)}
    figures |= {"steps": artist.steps, "guidance": artist.guidance}
    figures |= {"first": _part(english, 0), "five": _part(english, 4)}
    figures |= {"portuguese_first": _part(portuguese, 0), "portuguese_five": _part(portuguese, 4)}
    figures["missed"] = {wordings[place].names[0]: rank for place, rank in zip(places, english, strict=True) if rank}
    learnt, new = (colour_prompts(data, wordings, learnt=learnt) for learnt in (True, False))
    for key, language, asked in (("", 1, learnt), ("_portuguese", 2, learnt), ("_new", 1, new)):
        wrong = _wrong_colours(artist, [(entry[0], entry[language]) for entry in asked])
        figures |= {f"coloured{key}": len(asked), f"colours{key}": 1 - len(wrong) / max(1, len(asked))}
        figures[f"wrong_colours{key}"] = wrong
    return figures


def _wrong_colours(artist: Artist, asked: Sequence[tuple[str, str]]) -> dict[str, str]:
    pictures = artist.decode(artist.latents([prompt for _, prompt in asked], 5))
    shown = [shown_colour(picture, colour) for picture, (colour, _) in zip(pictures, asked, strict=True)]
    return {prompt: got for (colour, prompt), got in zip(asked, shown, strict=True) if got != colour}


def _part(places: Sequence[int], most: int) -> float:
    return sum(place <= most for place in places) / len(places)


def labelled(pictures: Sequence[Pixels], labels: Sequence[str], columns: int = 6, side: int = 128) -> Image.Image:
    """The pictures enlarged, each above its label, without accents, which the font that is always there lacks."""
    font = ImageFont.load_default(size=12)
    rows = -(-len(pictures) // columns)
    paper = Image.new("RGB", (columns * side, rows * (side + 18)), "white")
    pen = ImageDraw.Draw(paper)
    for place, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        x, y = place % columns * side, place // columns * (side + 18)
        paper.paste(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC), (x, y))
        pen.text((x + 4, y + side), plain(label), fill="black", font=font)
    return paper


def draw_grids(artist: Artist, folder: Path, seed: int = 1) -> None:
    """Write `grid.png`, the common prompts, and `grid-more.png`."""
    for name, prompts in (("grid", GRID), ("grid-more", MORE)):
        pictures = artist.decode(artist.latents(prompts, seed))
        labelled(pictures, prompts).save(folder / f"{name}.png")


def write(figures: dict[str, Any], path: Path) -> None:
    """Write the figures as JSON, and log the important ones."""
    path.write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", "utf-8")
    short = {name: value for name, value in figures.items() if isinstance(value, int | float)}
    log.info("%s", short)
