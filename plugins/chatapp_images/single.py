"""Single files of weights, as they are passed around: which model's configuration and tokenizer one needs beside it."""

from __future__ import annotations

from chatapp import Host, ModelError
from chatapp_images.catalogue import CATALOGUE, Entry
from chatapp_images.models import Chosen, find, folder
from chatapp_images.weights import read_header

# Names of weights that only these models have, as diffusers tells them apart in single_file_utils.py. Of Stable
# Diffusion 2 those that predict the noise are meant; nothing in a file tells them from those that predict v.
MARKS = (
    ("conditioner.embedders.1.model.transformer.resblocks.9.mlp.c_proj.bias", "sdxl-turbo"),
    ("cond_stage_model.model.token_embedding.weight", "sd-turbo"),
    ("cond_stage_model.transformer.text_model.embeddings.position_embedding.weight", "sd-1.5"),
)


def kind_of(chosen: Chosen) -> Entry:
    """The model of the catalogue that a single file is one of; ModelError where it is none of them."""
    shapes = read_header(chosen.path).shapes
    for mark, name in MARKS:
        if mark in shapes:
            return CATALOGUE[name]
    if any("lora" in name for name in shapes):
        raise ModelError(f"{chosen.path} is an adapter, not a model: lay it over one.")
    raise ModelError(
        f"{chosen.path} is no whole model of Stable Diffusion 1, 2 or XL: take the model's folder in diffusers' layout."
    )


def configuration(host: Host, chosen: Chosen) -> Chosen:
    """Where a single file's configuration and tokenizer lie: a downloaded model of its kind, or what to fetch of it."""
    entry = kind_of(chosen)
    whole = find(host, entry.name)
    if whole.here:
        return whole
    place = folder(host, f"{entry.repository}--config")
    return Chosen(f"{entry.name}'s configuration", place, None, entry.repository, entry.revision)
