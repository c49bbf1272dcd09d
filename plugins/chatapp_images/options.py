"""The images plugin's settings."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

from chatapp import Adapter

Display: TypeAlias = Literal["auto", "halfblock", "sixel", "kitty", "off"]
Precision: TypeAlias = Literal["auto", "float32", "bfloat16", "float16"]


class ImagesSettings(BaseModel):
    """Pictures, painted by diffusion models."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(
        "icons", description="A model of `chatapp image models`, a name on the hub, a folder, or a .safetensors file."
    )
    display: Display = Field(
        "auto", description="How pictures are shown; auto asks the terminal, and takes half blocks where it is unsure."
    )
    loras: str = Field(
        "",
        description='LoRA files laid over the model with their scales: `ink.safetensors=0.8 "my style.safetensors"`.',
    )
    preview_every: int = Field(6, ge=0, le=1000, description="Steps from one preview to the next; 0 shows none.")
    forward: bool = Field(False, description="Show first how noise dissolves the picture, then how it comes back.")
    idle_minutes: float = Field(
        5.0, gt=0, le=1440, description="Minutes without a picture after which the model's memory is given back."
    )
    threads: int | None = Field(None, ge=1, le=512, description="Processor threads; empty takes every core.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:1, mps.")
    precision: Precision = Field("auto", description="How numbers are held; auto chooses for the device.")
    folder: str = Field("", description="Where pictures are kept; empty: pictures in chatapp's data folder.")
    shown_size: int = Field(
        512, ge=64, le=4096, description="Small pictures (icons) are saved enlarged to this many pixels."
    )

    @field_validator("loras")
    @classmethod
    def _loras(cls, value: str) -> str:
        adapters_in(value)
        return value


def threads_for(settings: ImagesSettings) -> int:
    """How many threads to compute with: the setting, or the cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return settings.threads or cores


def adapters_in(loras: str) -> tuple[Adapter, ...]:
    """The adapters that the setting `loras` names; ValueError when it is not FILE=SCALE FILE=SCALE."""
    found = []
    for word in shlex.split(loras):
        path, _, scale = word.rpartition("=") if "=" in word else (word, "", "1")
        place = Path(path).expanduser()
        found.append(Adapter(place.stem, str(place), float(scale)))
    return tuple(found)
