"""What paints: the protocol of an engine of the kind "image", and the values it is given and gives.

Pictures cross processes and the archive as encoded files (PNG); nobody but the engine needs an image library.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from chatapp.engine import EngineConfig, EngineInfo

Phase: TypeAlias = Literal["forward", "reverse"]


@dataclass(frozen=True, slots=True)
class PictureRequest:
    """One picture to paint; None leaves a value to the model.

    `width` and `height` in pixels. `guidance` is the scale of classifier-free guidance (Ho and Salimans, 2022), 1.0
    switches it off. `image` begins from that picture (PNG or JPEG, as bytes), noised by `strength` (0.0 keeps it, 1.0
    forgets it); with a `mask` of its size only what is white there is painted anew. `enlarge` makes `image` that many
    times larger instead; the prompt may say what is on it. `scheduler` is one of the engine's names. A preview comes
    every `preview_every` steps (0: none). `forward` shows first how noise dissolves the picture that will be painted.
    """

    prompt: str
    seed: int
    negative: str = ""
    steps: int | None = None
    guidance: float | None = None
    width: int | None = None
    height: int | None = None
    scheduler: str = ""
    image: bytes | None = None
    strength: float | None = None
    mask: bytes | None = None
    enlarge: int | None = None
    preview_every: int = 0
    forward: bool = False


@dataclass(frozen=True, slots=True)
class PictureStep:
    """`done` of `total` steps; `preview` is a PNG of how it looks so far, on the steps that have one."""

    done: int
    total: int
    preview: bytes | None = None
    phase: Phase = "reverse"


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished picture: a PNG that carries its `facts` (JSON: all it takes to paint the same bytes again).

    `notes` are sentences for the user: what was cut from the prompt, rounded, or done otherwise than asked.
    """

    png: bytes
    width: int
    height: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@runtime_checkable
class Painter(Protocol):
    """An open engine of the kind "image".

    `info.features` may name "edit", "inpaint", "enlarge", "negative", "preview", "adapters". `info.details` say "name"
    (what `Engines.ready` opens it by), "width", "height" (its own size), "multiple" (of which sizes must be), "steps",
    "guidance", "schedulers" (names), "licence" and "device".
    """

    @property
    def info(self) -> EngineInfo:
        """What was opened; `context_length` is how many tokens of a prompt count."""
        ...

    def paint(self, request: PictureRequest) -> AsyncGenerator[PictureStep | Picture, None]:
        """Paint: any number of steps, then exactly one `Picture`. Raises EngineError.

        Closing the iterator stops within a step. While an answer streams, painting is paused.
        """
        ...

    async def tune(self, config: EngineConfig) -> bool:
        """As `Engine.tune`."""
        ...

    async def close(self) -> None:
        """As `Engine.close`."""
        ...
