"""The settings of the adapters plugin."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class LoraSettings(BaseModel):
    """Adapters."""

    model_config = ConfigDict(extra="forbid")

    default: str = Field("", description="The mix that new conversations begin with, as after `/lora`; empty is none.")
    folder: str = Field("", description="Where your adapters are; empty is `lora` in chatapp's folder of data.")
    threads: int | None = Field(
        None, ge=1, le=512, description="Processor threads a training takes; empty takes every core."
    )
    keep_base: bool = Field(
        True, description="Keep a base model unpacked for training on the disk: the next training starts sooner."
    )
