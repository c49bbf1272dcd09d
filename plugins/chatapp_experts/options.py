"""The settings of the experts plugin."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ExpertsSettings(BaseModel):
    """Experts."""

    model_config = ConfigDict(extra="forbid")

    on: bool = Field(False, description="Whether new conversations begin with the gate on.")
