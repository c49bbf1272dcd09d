"""The embeddings plugin's settings."""

from __future__ import annotations

import os

from pydantic import BaseModel, ConfigDict, Field


class EmbeddingsSettings(BaseModel):
    """Comparing texts by meaning, with sentence-transformers."""

    model_config = ConfigDict(extra="forbid")

    folder: str = Field(
        "", description="A folder with a sentence-transformers model; empty is all-MiniLM-L6-v2, downloaded once."
    )
    threads: int | None = Field(None, ge=1, le=512, description="Processor threads; empty takes every core.")
    batch: int = Field(32, ge=1, le=1024, description="Texts read in one step; it can be stopped between steps.")


def threads_for(settings: EmbeddingsSettings) -> int:
    """How many threads to compute with: the setting, or the cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return settings.threads or cores
