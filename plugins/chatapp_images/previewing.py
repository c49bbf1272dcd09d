"""How a picture looks while it is painted: the clean picture each step stands for, decoded at little cost."""

from __future__ import annotations

from functools import wraps
from typing import Any

from chatapp_images.inputs import encoded
from chatapp_images.schedulers import clean

# Linear factors from the four latent channels of Stable Diffusion 1 and 2 to red, green and blue in -1..1, a row per
# channel: K. Turner (2022), "Decoding latents to RGB without upscaling", forum of Hugging Face, 23204.
SD_FACTORS = ((0.298, 0.207, 0.208), (0.187, 0.286, 0.173), (-0.158, 0.189, 0.264), (-0.184, -0.271, -0.473))
# The same for SDXL, as in InvokeAI's stable_diffusion step callback.
SDXL_FACTORS = (
    (0.3448, 0.4168, 0.4395), (-0.1953, -0.0290, 0.0250), (0.1074, 0.0886, -0.0163), (-0.3730, -0.2499, -0.2088),
)  # fmt: skip
LATENT_SIDE = 8
"""How many pixels of the picture a pixel of the latents is wide, for those factors."""


class Capture:
    """Keeps what went into and came out of a scheduler's last step; costs two references a step."""

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._last: tuple[Any, Any, Any] | None = None
        step = scheduler.step

        # Pipelines look at the signature to learn what a scheduler takes.
        @wraps(step)
        def keeping(model_output: Any, timestep: Any, sample: Any, *more: Any, **named: Any) -> Any:
            self._last = (model_output, sample, timestep)
            return step(model_output, timestep, sample, *more, **named)

        scheduler.step = keeping

    def clean(self, latents: Any) -> Any:
        """The latents of the picture that the last step stands for; `latents` where the scheduler does not tell."""
        if self._last is None or not hasattr(self._scheduler, "alphas_cumprod"):
            return latents
        output, sample, timestep = self._last
        return clean(self._scheduler, output, sample, timestep).to(latents.dtype)


class Decoder:
    """Turns latents into small PNGs; `able` says whether it can. A second thread was tried and cost more than it saved,
    as it shares the interpreter's lock with the painting."""

    def __init__(self, pipeline: Any) -> None:
        self._factors = _factors(pipeline)
        self._tiny = _tiny(pipeline)
        self.able = self._tiny is not None or self._factors is not None

    def png(self, latents: Any) -> bytes:
        """The picture that the latents stand for, or one near to it."""
        import torch

        with torch.inference_mode():
            pixels = self._decoded(latents)[0].float().clamp(-1, 1)
            array = ((pixels + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
        from PIL import Image

        return encoded(Image.fromarray(array), fast=True)

    def _decoded(self, latents: Any) -> Any:
        """Red, green and blue in -1..1, by the tiny autoencoder where there is one, else by the linear factors."""
        import torch

        if self._tiny is not None:
            return self._tiny.decode(
                latents.to(self._tiny.dtype) / self._tiny.config.scaling_factor, return_dict=False
            )[0]
        small = torch.einsum("bchw,cr->brhw", latents.float(), torch.tensor(self._factors, device=latents.device))
        return torch.nn.functional.interpolate(small, scale_factor=LATENT_SIDE // 2, mode="bilinear")


def _tiny(pipeline: Any) -> Any:
    """A copy of the model's tiny autoencoder, None where it has none."""
    vae: Any = getattr(pipeline, "preview_vae", None) or getattr(pipeline, "vae", None)
    if type(vae).__name__ != "AutoencoderTiny":
        return None
    import copy

    import torch

    # In this layout it decodes a third faster on processors; the model's own keeps the bytes of its pictures.
    return copy.deepcopy(vae).to(memory_format=torch.channels_last)


def _factors(pipeline: Any) -> Any:
    kind = type(pipeline).__name__
    if kind.startswith("StableDiffusionXL"):
        return SDXL_FACTORS
    return SD_FACTORS if kind.startswith("StableDiffusion") and "3" not in kind else None


def due(done: int, every: int) -> bool:
    """Whether a preview belongs to the step that makes it `done`."""
    return every > 0 and done % every == 0
