"""Tools the model may use, each with the user's consent, and those of MCP servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatapp import hookimpl

if TYPE_CHECKING:
    from pydantic import BaseModel


@hookimpl
def settings() -> type[BaseModel]:
    """The folders tools may read, and their limits."""
    from chatapp_tools.options import ToolsSettings

    return ToolsSettings
