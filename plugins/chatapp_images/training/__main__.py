"""`python -m chatapp_images.training STEP`: one step of the training, or `all` of them."""

from __future__ import annotations

import logging
from pathlib import Path

import click
import platformdirs
import torch
from diffusers.utils import logging as logging_of_diffusers

from chatapp import ChatappError
from chatapp_images.training.steps import STEPS, Setting
from chatapp_images.training.unet import Plan

WORK = Path("build/icons")
MINILM = Path(platformdirs.user_data_dir("chatapp", appauthor=False)) / "embeddings" / "all-MiniLM-L6-v2"
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("step", type=click.Choice([*STEPS, "all"]))
@click.option("--work", type=_FOLDER, default=WORK, show_default=True, help="Where everything is kept meanwhile.")
@click.option("--start", type=_FOLDER, help="A pipeline's folder to go on from, instead of a new one.")
@click.option("--minilm", type=_FOLDER, default=MINILM, help="Where a new pipeline's word vectors come from.")
@click.option("--samples", type=int, default=1_000_000, show_default=True, help="How many the UNet sees in all.")
@click.option("--batch", type=int, default=0, help="Samples a step of all processes together [48; 256 a GPU].")
@click.option("--vae-samples", type=int, help="How many the autoencoder sees [60000 for a new one, 0 for another].")
@click.option("--processes", type=int, default=0, help="[one a GPU, or else one a core, two at most]")
@click.option("--nice", type=int, default=19, show_default=True, help="How far training gives way to other programs.")
def main(
    step: str,
    work: Path,
    start: Path | None,
    minilm: Path,
    samples: int,
    batch: int,
    vae_samples: int | None,
    processes: int,
    nice: int,
) -> None:
    """Train the model that draws icons: one STEP, or all of them in their order."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    logging_of_diffusers.set_verbosity_error()
    torch.set_num_threads(1)
    plan = Plan(samples=samples, batch=batch or (256 * torch.cuda.device_count() or 48))
    setting = Setting(work, start, minilm, plan, vae_samples, processes, nice)
    work.mkdir(parents=True, exist_ok=True)
    try:
        for name in STEPS if step == "all" else (step,):
            logging.getLogger(__name__).info("step: %s", name)
            STEPS[name](setting)
    except ChatappError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
