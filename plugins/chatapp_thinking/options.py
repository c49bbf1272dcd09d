"""The settings of thinking."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class ThinkingSettings(BaseModel):
    """Whether and how long the model thinks before it answers."""

    mode: Literal["auto", "on", "off"] = Field(
        "auto", description="Think always, never, or (auto) where a message looks as if it needed steps."
    )
    budget: int | None = Field(None, ge=1, description="Tokens of reasoning after which the answer is asked for.")
    votes: int = Field(1, ge=1, le=25, description="How many samples vote on the answer; 1 asks once.")
    vote_temperature: float = Field(
        0.7, gt=0, le=2, description="Temperature of the samples where the conversation sets none."
    )
