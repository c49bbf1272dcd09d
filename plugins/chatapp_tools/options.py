"""The settings of the tools plugin."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ToolsSettings(BaseModel):
    """Tools the model may use."""

    model_config = ConfigDict(extra="forbid")

    on: bool = Field(False, description="Whether new conversations begin with tools offered to the model.")
    folders: tuple[str, ...] = Field(
        (".",), description="Folders below which files may be read without asking; . is the current one."
    )
    timeout: int = Field(60, ge=1, le=3600, description="Seconds a command or a snippet of Python may take.")
    memory: int = Field(512, ge=64, description="Megabytes a snippet of Python may take.")
