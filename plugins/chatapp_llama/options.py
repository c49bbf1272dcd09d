"""The llama plugin's settings, and what it chooses for this machine where they are left open."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from chatapp import EngineConfig, EngineError
from chatapp_llama.failures import too_large
from chatapp_llama.size import BATCH, Size

MANY_CORES = 8
SMALL_CONTEXT, LARGE_CONTEXT = 4096, 8192
"""Tokens. Two cores read about 100 tokens a second: a full small context takes them most of a minute."""
OVERHEAD = 1.1
"""Memory needed per byte of model file: weights, buffers and a moderate key/value cache."""


class LlamaSettings(BaseModel):
    """Local models in the GGUF format, run by llama.cpp."""

    model_config = ConfigDict(extra="forbid")

    context_length: int | None = Field(
        None, ge=256, description="Tokens the model reads at once; empty chooses for this machine."
    )
    threads: int | None = Field(None, ge=1, le=512, description="Processor threads; empty takes every core.")
    gpu_layers: int | None = Field(None, ge=-1, description="Layers on the GPU; empty or -1 is all that it can take.")
    batch: int = Field(BATCH, ge=32, le=4096, description="Tokens read in one step; smaller shows progress more often.")
    flash_attention: bool | None = Field(None, description="Faster attention; empty lets llama.cpp decide.")
    aside: int = Field(
        512, ge=0, description="Memory for the read prompts of other conversations, in MB; 0 reads them again."
    )
    check_memory: bool = Field(True, description="Refuse a model that is larger than this machine's memory.")


def size_for(config: EngineConfig, settings: LlamaSettings) -> Size:
    """What to open: the configuration first, then the settings, then what suits this machine."""
    cores = available_cores()
    flash = {None: -1, False: 0, True: 1}[settings.flash_attention]
    gpu_layers = config.gpu_layers if config.gpu_layers is not None else settings.gpu_layers
    return Size(
        context=config.context_length
        or settings.context_length
        or (LARGE_CONTEXT if cores >= MANY_CORES else SMALL_CONTEXT),
        threads=config.threads or settings.threads or cores,
        gpu_layers=-1 if gpu_layers is None else gpu_layers,
        batch=settings.batch,
        flash_attention=flash,
        aside=settings.aside * 2**20,
    )


def available_cores() -> int:
    """The processor cores this process may use: physical ones where there are many, as hyper-threads only compete."""
    import psutil

    logical = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or logical
    return logical if logical < MANY_CORES else min(physical, logical)


def check_memory(path: Path) -> None:
    """Raise EngineError for a file that this machine's memory cannot hold."""
    import psutil

    total = psutil.virtual_memory().total
    needed = path.stat().st_size * OVERHEAD
    if needed > total:
        raise EngineError(too_large(path, int(needed), total))
