"""The settings of the tools plugin."""

from __future__ import annotations

from typing import Any

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
    mcp_servers: dict[str, dict[str, Any]] = Field(
        {},
        description="MCP servers by name, each with command and args, or with url; those of mcp.json beside this file "
        "are used too. free lists the tools that run without asking.",
    )
    mcp_start: int = Field(30, ge=1, le=600, description="Seconds an MCP server may take to start and list its tools.")
    mcp_timeout: int = Field(120, ge=1, le=3600, description="Seconds an MCP server may be silent during a call.")
    mcp_allowed: tuple[str, ...] = Field(
        (), description="Tools that `chatapp mcp` runs for other programs though they would ask, by name."
    )
