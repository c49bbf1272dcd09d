"""The models this plugin knows by name, with where they come from, what they may be used for and what they need.

Sizes and memory are those of the half-precision files, in decimal bytes; the figures of memory are estimates for one
picture of the model's own size, see `fitting`. Revisions are the hub's commits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

Task: TypeAlias = Literal["paint", "enlarge"]
NON_COMMERCIAL = "Stability AI Non-Commercial"


@dataclass(frozen=True, slots=True)
class Entry:
    """One model. `repository` ("owner/name") and `revision` are empty for the one inside the package.

    `size` is what its files take on the disk and `memory` what painting takes, in bytes. `width` and `height` in pixels
    are those it was trained for; `steps`, `guidance` and `scheduler` what its publisher advises. A model for "enlarge"
    multiplies the sides of a picture by `factor`. `check` is the licence's sentence that a user must know, or "".
    """

    name: str
    licence: str
    size: int
    memory: int
    width: int
    height: int
    steps: int
    guidance: float
    scheduler: str
    about: str
    repository: str = ""
    revision: str = "main"
    task: Task = "paint"
    factor: int = 1
    check: str = ""

    @property
    def embedded(self) -> bool:
        """Whether it comes with the package."""
        return not self.repository


ICONS = Entry(
    "icons", "MIT", 24_800_000, 600_000_000, 64, 64, 20, 3.0, "ddim", "small icons, at once and without a network"
)
TINY_SD = Entry(
    "bk-sdm-tiny", "CreativeML OpenRAIL-M", 1_100_000_000, 3_000_000_000, 512, 512, 25, 7.5, "dpm++",
    "half of Stable Diffusion 1.4", "nota-ai/bk-sdm-tiny",
)  # fmt: skip
SD_TURBO = Entry(
    "sd-turbo", NON_COMMERCIAL, 2_600_000_000, 5_000_000_000, 512, 512, 2, 0.0, "euler",
    "photographs and drawings in one to four steps", "stabilityai/sd-turbo", "b261bac6fd2cf515557d5d0707481eafa0485ec2",
    check="Its licence allows no commercial use without an agreement with Stability AI.",
)  # fmt: skip
SDXL_TURBO = Entry(
    "sdxl-turbo", NON_COMMERCIAL, 6_900_000_000, 10_000_000_000, 512, 512, 2, 0.0, "euler-a",
    "finer pictures in one to four steps", "stabilityai/sdxl-turbo", "71153311d3dbb46851df1931d3ca6e939de83304",
    check="Its licence allows no commercial use without an agreement with Stability AI.",
)  # fmt: skip
SD_15 = Entry(
    "sd-1.5", "CreativeML OpenRAIL-M", 2_100_000_000, 4_500_000_000, 512, 512, 25, 7.5, "dpm++",
    "the model most adapters are made for", "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
)  # fmt: skip
UPSCALER = Entry(
    "x4-upscaler", "CreativeML OpenRAIL++-M", 1_800_000_000, 5_000_000_000, 128, 128, 30, 7.5, "ddim",
    "makes pictures four times larger", "stabilityai/stable-diffusion-x4-upscaler",
    "572c99286543a273bfd17fac263db5a77be12c4c", "enlarge", 4,
)  # fmt: skip

CATALOGUE: Mapping[str, Entry] = MappingProxyType(
    {entry.name: entry for entry in (ICONS, TINY_SD, SD_TURBO, SDXL_TURBO, SD_15, UPSCALER)}
)


def that_fit(free: int, task: Task = "paint") -> list[Entry]:
    """The models for `task` that `free` bytes of memory are enough for, the most demanding first."""
    fitting = [entry for entry in CATALOGUE.values() if entry.task == task and entry.memory <= free]
    return sorted(fitting, key=lambda entry: -entry.memory)
