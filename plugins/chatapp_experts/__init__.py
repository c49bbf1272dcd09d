"""Experts: a gate that chooses which adapters, role and documents answer each message."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatapp import hookimpl

if TYPE_CHECKING:
    from pydantic import BaseModel


@hookimpl
def settings() -> type[BaseModel]:
    """How the gate chooses."""
    from chatapp_experts.options import ExpertsSettings

    return ExpertsSettings
