"""The example's settings: every field has a default and a description, which is all that a settings model needs."""

from __future__ import annotations

from pydantic import BaseModel, Field


class ExampleSettings(BaseModel):
    """Dice, for those who learn to write plugins."""

    sides: int = Field(6, ge=2, le=1000, description="How many sides a die has when none is said.")
    seed: int | None = Field(None, description="The same seed rolls the same dice; empty rolls anew each time.")
