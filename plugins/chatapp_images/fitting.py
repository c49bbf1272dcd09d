"""Whether a model fits into memory, by estimate, before it is loaded; and what saves memory where it is short.

The estimate: the weights at the precision they are computed in; beside them, whichever is more, a second copy of the
largest part while it is loaded, or the maps of activations of one picture, counted per pixel. The constants were set to
lie above what diffusers' documentation reports for Stable Diffusion 1.5 and SDXL; they are no promise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from chatapp import EngineError, human_bytes
from chatapp_images.catalogue import that_fit

FULL, TINY = 800, 200
"""Numbers held per pixel while painting with a full variational autoencoder, and with a tiny one."""
TINY_PARAMETERS = 10_000_000
SAVED = 3
"""By what slicing attention and decoding in tiles divide the activations."""
CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes: of all weights, of the largest part's, and of the activations of one picture."""

    weights: int
    largest: int
    working: int


@dataclass(frozen=True, slots=True)
class Savings:
    """What is switched on because memory is short: slices and tiles, and parts that wait in the main memory."""

    slices: bool = False
    offload: bool = False


def need(parameters: Mapping[str, int], width: int, height: int, bytes_each: int, copies: bool) -> Need:
    """What a pipeline with these `parameters` by component needs for a picture of that size in pixels.

    `copies` says that a part exists twice while it is loaded, as it does where accelerate is not installed.
    """
    largest = max(parameters.values()) * bytes_each
    tiny = 0 < parameters.get("vae", 0) < TINY_PARAMETERS
    working = width * height * (TINY if tiny else FULL) * bytes_each
    return Need(sum(parameters.values()) * bytes_each, largest if copies else 0, working)


def fit(name: str, wanted: Need, free: int, can_offload: bool = False) -> Savings:
    """What to switch on so that the model fits into `free` bytes; EngineError, saying what would fit, if nothing does.

    `can_offload` says that parts can wait in the main memory while others compute on the device.
    """
    whole = wanted.weights + max(wanted.largest, wanted.working)
    if whole <= free:
        return Savings()
    sliced = wanted.weights + max(wanted.largest, wanted.working // SAVED)
    if sliced <= free:
        return Savings(slices=True)
    if can_offload and wanted.weights // 2 + wanted.working // SAVED <= free:
        return Savings(slices=True, offload=True)
    others = [f"{entry.name} ({human_bytes(entry.memory)})" for entry in that_fit(free) if entry.name != name]
    would = f"{' or '.join(others)} would do" if others else "close other programs"
    raise EngineError(f"{name} needs about {human_bytes(sliced)} of memory and {human_bytes(free)} are free; {would}.")


def free_memory(device: str) -> int:
    """Bytes that can still be taken on "cpu", "mps" (the main memory too) or a CUDA device."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(device)[0])
    import psutil

    return min(int(psutil.virtual_memory().available), _granted())


def _granted() -> int:
    """What the control group (Linux, version 2) still allows; very much where there is none."""
    try:
        limit = (CGROUP / "memory.max").read_text().strip()
        held = int((CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return 1 << 62
    # Files held in the group's cache are given up when memory is asked for.
    return (1 << 62) if limit == "max" else max(0, int(limit) - held + int(stat.get("inactive_file", 0)))
