"""Single files of weights, as they are passed around: which model's configuration and tokenizer one needs beside it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chatapp import Host, ModelError, Report
from chatapp_images.catalogue import SD_15, SD_TURBO
from chatapp_images.fetching import ensure
from chatapp_images.models import Chosen, find, folder
from chatapp_images.weights import read_header

# Names of weights that only these models have, as diffusers tells them apart in single_file_utils.py, and whose
# configuration fits. Nothing in a file tells a Stable Diffusion 2 that predicts the noise, which is meant, from one
# that predicts v, nor a distilled XL from the first one.
KINDS = (
    (
        "conditioner.embedders.1.model.transformer.resblocks.9.mlp.c_proj.bias",
        "stabilityai/stable-diffusion-xl-base-1.0",
        "462165984030d82259a11f4367a4eed129e94a7b",
    ),
    ("cond_stage_model.model.token_embedding.weight", SD_TURBO.repository, SD_TURBO.revision),
    (
        "cond_stage_model.transformer.text_model.embeddings.position_embedding.weight",
        SD_15.repository,
        SD_15.revision,
    ),
)


async def complete(host: Host, chosen: Chosen, report: Report) -> Path | None:
    """Make the model's files complete, as `fetching.ensure`; the folder of a single file's configuration, else None."""
    await ensure(host, chosen, report)
    if not chosen.single:
        return None
    source = await asyncio.to_thread(configuration, host, chosen)
    await ensure(host, source, report)
    return source.path


def configuration(host: Host, chosen: Chosen) -> Chosen:
    """Where a single file's configuration and tokenizer lie: a downloaded model of its kind, or what to fetch of it.

    ModelError where it is of no kind that is known.
    """
    repository, revision = _origin(chosen)
    whole = find(host, repository)
    if whole.here:
        return whole
    place = folder(host, f"{repository}--config")
    return Chosen(chosen.name, place, None, repository, revision, beside=True)


def _origin(chosen: Chosen) -> tuple[str, str]:
    """The hub's repository and revision of the model that a single file is one of."""
    shapes = read_header(chosen.path).shapes
    for mark, repository, revision in KINDS:
        if mark in shapes:
            return repository, revision
    if any("lora" in name for name in shapes):
        raise ModelError(f"{chosen.path} is an adapter, not a model: lay it over one.")
    raise ModelError(
        f"{chosen.path} is no whole model of Stable Diffusion 1, 2 or XL: take the model's folder in diffusers' layout."
    )
