"""The embeddings plugin's settings."""

from __future__ import annotations

import os
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Precision: TypeAlias = Literal["auto", "float32", "bfloat16"]


class EmbeddingsSettings(BaseModel):
    """Comparing texts by meaning, with sentence-transformers."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(
        "all-MiniLM-L6-v2", description="The embedding model, one of `chatapp embeddings list`; downloaded once."
    )
    folder: str = Field("", description="A folder with a sentence-transformers model, to be used instead of `model`.")
    reranker: str = Field(
        "ms-marco-MiniLM-L6-v2",
        description="The model that orders passages anew, where a plugin asks for that: one of `chatapp embeddings "
        "list`, or a folder with a cross-encoder.",
    )
    threads: int | None = Field(None, ge=1, le=512, description="Processor threads; empty takes every core.")
    batch: int = Field(
        64, ge=1, le=1024, description="Texts read in one step at the most, fewer where they are long or slow."
    )
    precision: Precision = Field(
        "auto", description="auto is bfloat16 on processors that compute in it (AVX512-BF16, AMX), else float32."
    )


def threads_for(settings: EmbeddingsSettings) -> int:
    """How many threads to compute with: the setting, or the cores this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return settings.threads or cores
