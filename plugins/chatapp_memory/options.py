"""The memory plugin's table in the settings file."""

from __future__ import annotations

from pydantic import BaseModel, Field


class MemorySettings(BaseModel):
    """What is remembered from conversation to conversation, and styles."""

    limit: int = Field(1000, ge=50, le=20_000, description="How much is remembered at most, in tokens (about).")
    style_words: int = Field(80, ge=20, le=300, description="The longest description of a style, in words.")
