"""The peer: a bare script on diffusers. Paints once for each line it reads, and answers each with the seconds it took.

usage: bare_diffusers.py FOLDER STEPS THREADS
"""

from __future__ import annotations

import sys
import time

import torch
from diffusers import AutoPipelineForText2Image


def main() -> None:
    """Load, then paint as often as asked."""
    folder, steps, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    pipeline = AutoPipelineForText2Image.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    for _ in sys.stdin:
        begun = time.perf_counter()
        generator = torch.Generator().manual_seed(1)
        pipeline("a red apple", num_inference_steps=steps, guidance_scale=3.0, generator=generator)
        sys.stdout.write(f"{time.perf_counter() - begun}\n")
        sys.stdout.flush()


main()
