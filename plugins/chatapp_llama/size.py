"""How much an opened model takes; in a module of its own, as both processes use it and only one has llama.cpp."""

from __future__ import annotations

from dataclasses import dataclass

BATCH = 128
"""Tokens read in one step: as fast as 512 on a processor, and progress four times as often."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much a context takes: tokens, threads, layers on the GPU (-1: all), and tokens read in one step.

    `aside` is the bytes of memory for prompts that were evaluated and put aside.
    `flash_attention` is llama.cpp's own value: -1 lets it decide, 0 is off, 1 is on.
    """

    context: int
    threads: int
    gpu_layers: int
    batch: int
    flash_attention: int
    aside: int = 0
