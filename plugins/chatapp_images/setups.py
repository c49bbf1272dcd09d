"""Everything that decides how a model is loaded and computed, as one value that crosses to the child process."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from chatapp import Adapter, EngineConfig, Host, ModelError
from chatapp_images.checking import Layout, check_folder
from chatapp_images.models import Chosen, find
from chatapp_images.options import ImagesSettings, threads_for

SMALL = 100_000_000
"""Parameters below which one thread is the fastest: steps of a few milliseconds are lost to waiting for each other."""


@dataclass(frozen=True, slots=True)
class Setup:
    """A chosen model and how to compute it. `threads` 0: as many as suit the model.

    `config` is the folder with the configuration of a single file's model. `adapters` are local safetensors files.
    `shown_size` in pixels is what small pictures are enlarged to.
    """

    chosen: Chosen
    threads: int
    device: str
    precision: str
    shown_size: int
    adapters: tuple[Adapter, ...] = ()
    config: Path | None = None
    identity: str = ""

    def like(self, other: Setup) -> bool:
        """Whether the same child process can take this on by loading again."""
        own, others = (replace(one, adapters=(), shown_size=0, identity="", config=None) for one in (self, other))
        return own == others


def setup(host: Host, config: EngineConfig) -> Setup:
    """What `config` and the settings ask for; ModelError when there is no such model or adapter."""
    settings = host.config(ImagesSettings)
    for adapter in config.adapters:
        if not Path(adapter.path).is_file():
            raise ModelError(f"There is no adapter at {adapter.path}: check the path.")
    threads = config.threads or settings.threads or 0
    chosen = find(host, config.model)
    return Setup(chosen, threads, settings.device, settings.precision, settings.shown_size, config.adapters)


def threads(made: Setup, layout: Layout | None, settings: ImagesSettings) -> int:
    """How many threads to compute with: those asked for, else one for a small model and every core for others."""
    if made.threads:
        return made.threads
    small = layout is not None and sum(layout.parameters().values()) < SMALL
    return 1 if small else threads_for(settings)


def check(chosen: Chosen) -> Layout | None:
    """What is in a model's folder, None for a single file; ModelError where it must not or cannot be loaded."""
    if chosen.single:
        from chatapp_images.weights import read_header

        read_header(chosen.path)
        return None
    return check_folder(chosen.path)
