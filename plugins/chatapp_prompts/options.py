"""The settings of the prompts plugin."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class PromptsSettings(BaseModel):
    """Templates."""

    model_config = ConfigDict(extra="forbid")

    folder: str = Field("", description="Where your own templates are; empty is `prompts` beside the settings file.")
