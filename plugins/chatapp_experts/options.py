"""The settings of the experts plugin."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ExpertsSettings(BaseModel):
    """Experts."""

    model_config = ConfigDict(extra="forbid")

    on: bool = Field(False, description="Whether new conversations begin with the gate on.")
    top: int = Field(1, ge=1, le=4, description="How many experts may answer one message together, as `/experts top`.")
    floor: float | None = Field(
        None,
        ge=0,
        le=1,
        description="The score from which on an expert answers, as `/experts floor`; empty is what was measured best.",
    )
    trained: bool = Field(
        True, description="Judge messages by what was trained (`/experts train`) where it fits the experts there are."
    )
