"""The web plugin's table in the settings file."""

from __future__ import annotations

from pydantic import BaseModel, Field


class WebSettings(BaseModel):
    """The chat in a browser."""

    port: int = Field(8421, ge=0, le=65535, description="The port of the page; 0 takes any that is free.")
    font_size: int = Field(16, ge=6, le=60, description="Height of the page's letters, in pixels.")
    most: int = Field(4, ge=1, le=100, description="How many pages may be open; each is a chat with its own model.")
