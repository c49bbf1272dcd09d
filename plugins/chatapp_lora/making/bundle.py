"""Training the adapters that come along, from the data sets in the repository: `make adapters`.

Each goes on where it was stopped. The files go to `bundled`, with their cards.
"""

from __future__ import annotations

import hashlib
import json
import logging
import tomllib
from pathlib import Path
from typing import Any

import click

from chatapp import ChatappError, Job
from chatapp_lora.card import card_of
from chatapp_lora.store import BUNDLED
from chatapp_lora.training.client import ENVIRONMENT
from chatapp_lora.training.plan import INVOCATION, Plan, Step, Trained
from chatapp_lora.training.reading import read_chats
from chatapp_lora.training.service import Service

DATASETS = Path(__file__).with_name("datasets")
WORK = Path("build/adapters")
KEYS = ("rank", "alpha", "steps", "batch", "rate", "warm_up", "evaluate_every", "patience", "longest", "seed")
log = logging.getLogger("adapters")


def plan(name: str, base: Path, sha256: str, threads: int, work: Path) -> tuple[Plan, dict[str, Any]]:
    """The plan for a data set, and what its TOML file says."""
    about = tomllib.loads((DATASETS / f"{name}.toml").read_text(encoding="utf-8"))
    chosen: dict[str, Any] = {key: about[key] for key in KEYS if key in about}
    if "targets" in about:
        chosen["targets"] = tuple(about["targets"])
    train, held_out = (tuple(read_chats(DATASETS / f"{name}{part}.jsonl")) for part in ("", ".heldout"))
    invocation = INVOCATION if about.get("activated") else ""
    folder = work / name
    return Plan(name, base, sha256, folder, train, held_out, threads=threads, invocation=invocation, **chosen), about


def train(made: Plan, about: dict[str, Any], cache: Path) -> None:
    """Train one adapter, and lay it with its card into `bundled`."""
    job = Job(0, lambda event: log.debug("%s", event))
    for event in Service().train(job, made, cache, True):
        if isinstance(event, Step):
            held_out = f", held out {event.held_out:.4f}" if event.held_out is not None else ""
            log.info("%s: step %d, loss %.4f%s, %.1f s", made.name, event.step, event.loss, held_out, event.seconds)
        elif isinstance(event, Trained):
            _keep(made, event, about)


def _keep(made: Plan, trained: Trained, about: dict[str, Any]) -> None:
    said = {key: str(about.get(key, "")) for key in ("title", "description", "licence")}
    card = card_of(made, trained, base=about["base"], source=f"making/datasets/{made.name}.jsonl of chatapp", **said)
    BUNDLED.mkdir(exist_ok=True)
    target = BUNDLED / f"{made.name}.gguf"
    partial = target.with_suffix(".partial")
    partial.write_bytes(trained.path.read_bytes())
    partial.replace(target)
    text = json.dumps(card, indent=2, ensure_ascii=False) + "\n"
    target.with_suffix(".json").write_text(text, encoding="utf-8")
    log.info("%s: best step %d of %d, %s", made.name, trained.best, trained.steps, target)


@click.command()
@click.argument("model", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("names", nargs=-1)
@click.option("--work", type=click.Path(path_type=Path, file_okay=False), default=WORK, show_default=True)
@click.option("--threads", type=int, default=2, show_default=True)
def main(model: Path, names: tuple[str, ...], work: Path, threads: int) -> None:
    """Train the adapters NAMES (all without any) for the GGUF MODEL."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    with model.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        for name in names or sorted(path.stem for path in DATASETS.glob("*.toml")):
            made, about = plan(name, model.absolute(), sha256, threads, work)
            train(made, about, work / "base")
    except ChatappError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    import os
    import sys

    if os.environ.get("OMP_WAIT_POLICY") != ENVIRONMENT["OMP_WAIT_POLICY"]:
        # The libraries read these once, when they are loaded.
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **ENVIRONMENT})
    main()
