"""The serve plugin's table in the settings file."""

from __future__ import annotations

from pydantic import BaseModel, Field


class ServeSettings(BaseModel):
    """Answering other programs."""

    port: int = Field(8420, ge=0, le=65535, description="The port; 0 takes any that is free.")
    queue: int = Field(200, ge=1, description="How many requests may wait; more are turned away at once.")
    seconds: int = Field(600, ge=1, description="How long one answer may take, in seconds, once it has begun.")
    largest: int = Field(8, ge=1, description="The largest request that is read, in MB.")
    choices: int = Field(8, ge=1, le=128, description="How many answers one request may ask for (`n`).")
    switches: list[str] = Field(
        ["role", "rag", "lora", "experts", "think", "shots"],
        description="What a model's name may switch on after a plus; a name that is none of these is a role.",
    )
