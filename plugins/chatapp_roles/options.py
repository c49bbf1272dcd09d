"""The settings of the roles plugin."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class RolesSettings(BaseModel):
    """Who answers."""

    model_config = ConfigDict(extra="forbid")

    default: str = Field("", description="The role that new conversations begin with; empty is none.")
    folder: str = Field("", description="Where your own roles are; empty is `roles` beside the settings file.")
