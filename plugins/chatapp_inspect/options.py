"""The inspect plugin's table in the settings file."""

from __future__ import annotations

from pydantic import BaseModel, Field


class InspectSettings(BaseModel):
    """Looking into models and answers."""

    record: bool = Field(False, description="Record the probability of each token of an answer; this slows answers.")
    alternatives: int = Field(5, ge=1, le=20, description="How many alternatives of each token are recorded.")
