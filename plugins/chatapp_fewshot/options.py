"""The few-shot plugin's settings."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class FewshotSettings(BaseModel):
    """Examples that show the model what is wanted."""

    model_config = ConfigDict(extra="forbid")

    default: str = Field(
        "", description='Examples every new conversation begins with, as after /shots: "tickets", "tickets similar 5".'
    )
    count: int = Field(5, ge=1, le=1000, description="How many examples `similar` takes when no number is said.")
    tokens: int = Field(
        1500, ge=32, le=1_000_000, description="Tokens the examples may take, at most half of what the model reads."
    )
