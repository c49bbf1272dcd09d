"""The peer: a bare script on diffusers. Paints once for each line it reads, and answers each with its steps a second.

usage: bare_diffusers.py FOLDER STEPS THREADS
"""

from __future__ import annotations

import sys
import time
from typing import Any

import torch
from diffusers import AutoPipelineForText2Image


def main() -> None:
    """Load, then paint as often as asked."""
    folder, steps, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    pipeline = AutoPipelineForText2Image.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    at: list[float] = []

    def note(pipeline: Any, index: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        at.append(time.perf_counter())
        return {}

    for _ in sys.stdin:
        at.clear()
        generator = torch.Generator().manual_seed(1)
        pipeline(
            "a red apple",
            num_inference_steps=steps,
            guidance_scale=3.0,
            generator=generator,
            callback_on_step_end=note,
        )
        sys.stdout.write(f"{(steps - 1) / (at[-1] - at[0])}\n")
        sys.stdout.flush()


main()
