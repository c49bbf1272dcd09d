"""What the model is told beside the tools."""

from __future__ import annotations

INSTRUCTIONS = "You are a helpful assistant."
