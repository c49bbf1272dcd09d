"""What happens at each step of a painting: it is counted, told with a preview now and then, and stopped if need be."""

from __future__ import annotations

import time
from typing import Any

from chatapp import EngineError, Job, PictureStep
from chatapp_images.previewing import Capture, Decoder, due
from chatapp_images.schedulers import noised

PACE_SECONDS = 0.08
"""From one picture of the forward process, or of the way back, to the next: all are made already, and eyes are slow."""
TELL_SECONDS = 0.1
"""Steps that follow each other faster are not all told: whoever listens takes the processor from the painting."""
FRAMES = 10
"""Pictures of the forward process where no previews are asked for."""


class Stopped(Exception):
    """Nobody waits for the picture any more."""


class Steps:
    """Follows one painting. `run` counts the steps; `total` is what they are to be.

    With `forward` the previews are kept back, to be told by `replay` when the picture is there.
    """

    def __init__(self, job: Job, decoder: Decoder, scheduler: Any, every: int, forward: bool, total: int) -> None:
        self._job = job
        self._decoder = decoder
        self._capture = Capture(scheduler)
        self._scheduler = scheduler
        self.run = 0
        self.total = total
        able = decoder.able
        self._every = (every or max(1, total // FRAMES) if forward else every) if able else 0
        self._forward = forward and able
        self._frames: list[tuple[int, int, bytes]] = []
        self._latents: Any = None
        self._told = 0.0

    def at_step(self, pipeline: Any, index: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
        """For `callback_on_step_end` of diffusers' pipelines."""
        self.total = pipeline.num_timesteps
        self._count(timestep, values["latents"])
        return {}

    def at_old_step(self, index: int, timestep: Any, latents: Any) -> None:
        """For `callback` of the pipelines that know that one only."""
        self._count(timestep, latents)

    def finish(self) -> None:
        """EngineError where the numbers ran over, so that there is no picture."""
        import torch

        if self._latents is not None and not bool(torch.isfinite(self._latents).all()):
            raise EngineError(
                "The model's numbers ran over in this precision, so there is no picture: set images.precision to "
                "float32, or choose another scheduler."
            )

    def replay(self, seed: int) -> None:
        """The two phases of diffusion (Ho et al., 2020): noise is added to the picture, then it comes back as painted.

        The noise is drawn from the seed, not the painting's own; each frame is q(x_t | x_0) at a step's own timestep.
        """
        if not self._forward or self._latents is None or not self._frames:
            return
        import torch

        noise = torch.randn(self._latents.shape, generator=torch.Generator().manual_seed(seed)).to(self._latents)
        times = [timestep for _, timestep, _ in reversed(self._frames)]
        for number, timestep in enumerate(times, 1):
            frame = self._decoder.png(noised(self._scheduler, self._latents, noise, timestep))
            self._show(PictureStep(number, len(times), frame, "forward"))
        for done, _, frame in self._frames:
            self._show(PictureStep(done, self.total, frame))

    def _show(self, step: PictureStep) -> None:
        if self._job.cancelled:
            raise Stopped
        self._job.emit(step)
        time.sleep(PACE_SECONDS)

    def _count(self, timestep: Any, latents: Any) -> None:
        self.run += 1
        if self._job.cancelled:
            raise Stopped
        self._latents = latents
        preview = None
        # The last step's is the picture itself.
        if due(self.run, self._every) and (self.run < self.total or self._forward):
            preview = self._decoder.png(self._capture.clean(latents))
            if self._forward:
                self._frames.append((self.run, int(timestep), preview))
                preview = None
        now = time.monotonic()
        if preview is not None or now - self._told >= TELL_SECONDS or self.run == self.total:
            self._told = now
            self._job.emit(PictureStep(self.run, self.total, preview))
