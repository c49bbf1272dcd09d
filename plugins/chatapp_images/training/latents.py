"""The pictures as the VAE's latents, computed once: several slightly moved ones of each, and the recoloured ones."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderTiny
from safetensors import safe_open
from safetensors.torch import save_file

from chatapp_images.training.data import Concept
from chatapp_images.training.pictures import COLOURS, Pixels, apart, areas, colour_name, draw, hsl, paint_of, recolour

MOVES = ((0.0, 0.0, 1.0), (0.016, 0.0, 1.0), (-0.016, 0.016, 0.98), (0.0, -0.02, 0.96), (0.01, 0.01, 0.94))
"""Shift in x and y, as parts of the side, and scale of each of a picture's latents; the first is the picture itself."""
BATCH = 64
ALIKE = 0.02
"""How near the hue of a picture's own colour is, as a part of the circle, to the one meant by that colour's name."""


@dataclass(frozen=True, slots=True)
class Latents:
    """Scaled latents: `plain` (concepts, moves, 4, h, w), `coloured` (recoloured concepts, colours, 4, h, w).

    `icons` are the concepts' icons in order, `recoloured` the places of the recoloured ones, and `colours` the colour
    that each picture shows anyway ("" for none).
    """

    plain: torch.Tensor
    coloured: torch.Tensor
    icons: tuple[str, ...]
    recoloured: tuple[int, ...]
    colours: tuple[str, ...]


def own_colour(svg: str) -> str:
    """The name of the colour a picture shows, "" when no saturated one covers a good part of it."""
    found = areas(svg)
    names = Counter[str]()
    for paint, count in found.items():
        names[colour_name(paint) if hsl(paint)[1] > 0.4 else ""] += count
    name, count = names.most_common(1)[0] if names else ("", 0)
    return name if count > 0.6 * found.total() else ""


def variants(icons: dict[str, str], concept: Concept) -> Iterator[str]:
    """The icon in each of the basic colours; the set's own icon, or the picture itself, where it is of that colour."""
    svg = icons[concept.icon]
    noun = concept.icon.split("-", 1)[1] if concept.icon.split("-")[0] in COLOURS else concept.icon
    own, paint = own_colour(svg), paint_of(svg, concept.paint) or "#ffffff"
    for colour in COLOURS:
        if colour == own and apart(hsl(paint)[0], hsl(COLOURS[colour])[0]) < ALIKE:
            yield svg
        else:
            yield icons.get(f"{colour}-{noun}") or recolour(svg, colour, concept.paint)


def pictures(icons: dict[str, str], concepts: Sequence[Concept]) -> Iterator[Pixels]:
    """Every picture whose latents are computed: each concept moved in all ways, then the recoloured ones."""
    for concept in concepts:
        for x, y, scale in MOVES:
            yield draw(icons[concept.icon], shift=(x, y), scale=scale)
    for concept in concepts:
        if concept.recoloured:
            yield from map(draw, variants(icons, concept))


def encode(vae: AutoencoderTiny, pictures: Sequence[Pixels]) -> torch.Tensor:
    """Scaled latents (count, 4, h, w) of pictures of one size."""
    found = []
    for start in range(0, len(pictures), BATCH):
        pixels = torch.from_numpy(np.stack(pictures[start : start + BATCH])).permute(0, 3, 1, 2).float()
        with torch.inference_mode():
            found.append(vae.encode(pixels / 127.5 - 1.0).latents * vae.config.scaling_factor)
    return torch.cat(found).clone()


def compute(vae: AutoencoderTiny, icons: dict[str, str], concepts: Sequence[Concept]) -> Latents:
    """The latents of all concepts."""
    found = encode(vae, list(pictures(icons, concepts)))
    plain, coloured = found[: len(concepts) * len(MOVES)], found[len(concepts) * len(MOVES) :]
    recoloured = tuple(place for place, concept in enumerate(concepts) if concept.recoloured)
    shape = found.shape[1:]
    return Latents(
        plain.view(len(concepts), len(MOVES), *shape),
        coloured.view(len(recoloured), len(COLOURS), *shape),
        tuple(concept.icon for concept in concepts),
        recoloured,
        tuple(own_colour(icons[concept.icon]) for concept in concepts),
    )


def save(latents: Latents, path: Path) -> None:
    """Write the latents as one safetensors file."""
    facts = {"icons": latents.icons, "recoloured": latents.recoloured, "colours": latents.colours}
    tensors = {"plain": latents.plain.contiguous(), "coloured": latents.coloured.contiguous()}
    save_file(tensors, path, metadata={"facts": json.dumps(facts)})


def load(path: Path) -> Latents:
    """The latents written by `save`."""
    with safe_open(path, framework="pt") as file:
        facts = json.loads(file.metadata()["facts"])
        plain, coloured = file.get_tensor("plain"), file.get_tensor("coloured")
    return Latents(plain, coloured, *(tuple(facts[key]) for key in ("icons", "recoloured", "colours")))
