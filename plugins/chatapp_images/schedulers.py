"""Schedulers by name, made from the model's own configuration, and what a step tells of the finished picture.

Ho et al. (2020) show the clean picture that a step's prediction stands for: x0. Here it is computed from what the model
said, as most schedulers do not hand it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import wraps
from types import MappingProxyType
from typing import Any

from chatapp import EngineError

NOISE = frozenset({"epsilon", "v_prediction"})
ANY = NOISE | {"sample"}


@dataclass(frozen=True, slots=True)
class Sampler:
    """A scheduler of diffusers with options; `predictions` are what it understands a model to predict.

    `ends` says that the noise must end somewhere: where nothing is left of the picture at the last timestep, the noise
    level there has no bound, and steps that are large in it go astray.
    """

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    predictions: frozenset[str] = NOISE
    ends: bool = False


SAMPLERS: Mapping[str, Sampler] = MappingProxyType(
    {
        "ddim": Sampler("DDIMScheduler", predictions=ANY),
        "ddpm": Sampler("DDPMScheduler", predictions=ANY),
        "dpm++": Sampler("DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}, ANY),
        "dpm++-karras": Sampler(
            "DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++", "use_karras_sigmas": True}, ANY, True
        ),
        "euler": Sampler("EulerDiscreteScheduler"),
        "euler-a": Sampler("EulerAncestralDiscreteScheduler"),
        "heun": Sampler("HeunDiscreteScheduler", ends=True),
        "lcm": Sampler("LCMScheduler", predictions=ANY),
        "pndm": Sampler("PNDMScheduler", {"skip_prk_steps": True}),
        "unipc": Sampler("UniPCMultistepScheduler", {"solver_order": 2}, ANY),
    }
)


def names_for(config: Mapping[str, Any]) -> list[str]:
    """The names that suit a model whose scheduler has this configuration; its own comes first.

    Models that are trained on flows know their own only.
    """
    own = name_of(config)
    predicts = config.get("prediction_type", "epsilon")
    if "Flow" in str(config.get("_class_name", "")):
        return [own]
    endless = config.get("beta_schedule") == "squaredcos_cap_v2" or bool(config.get("rescale_betas_zero_snr"))
    fitting = [name for name, each in SAMPLERS.items() if predicts in each.predictions and not (each.ends and endless)]
    return [own, *(name for name in fitting if name != own)]


def name_of(config: Mapping[str, Any]) -> str:
    """What the scheduler with this configuration is called here, diffusers' own name for one without a name."""
    kind = str(config.get("_class_name", "unknown"))
    named = [name for name, each in SAMPLERS.items() if each.kind == kind]
    karras = [name for name in named if bool(SAMPLERS[name].options.get("use_karras_sigmas"))]
    return (karras[0] if karras and config.get("use_karras_sigmas") else named[0]) if named else kind


def make(name: str, own: Any) -> Any:
    """A fresh scheduler called `name` ("" is the model's own) for the model whose own scheduler is `own`."""
    config = {**own.config, "_class_name": type(own).__name__}
    known = names_for(config)
    if not name or name == known[0]:
        return _from_first(type(own).from_config(own.config))
    if name not in known:
        raise EngineError(f"There is no scheduler {name!r} for this model: choose one of {', '.join(known)}.")
    import diffusers

    sampler = SAMPLERS[name]
    # Options that belong to one scheduler only mean something else, or nothing, to another.
    kept = {key: value for key, value in own.config.items() if not key.startswith("_")}
    return _from_first(getattr(diffusers, sampler.kind).from_config(kept, **sampler.options))


def _from_first(scheduler: Any) -> Any:
    """The scheduler, told to begin at its first step, which it would guess from the timestep.

    Noise levels after Karras et al. round to equal timesteps, and the guess takes the second of them.
    """
    if hasattr(scheduler, "set_begin_index"):
        setting = scheduler.set_timesteps

        @wraps(setting)
        def beginning(*arguments: Any, **named: Any) -> None:
            setting(*arguments, **named)
            # Pipelines that begin from a picture say another step afterwards.
            scheduler.set_begin_index(0)

        scheduler.set_timesteps = beginning
    return scheduler


def clean(scheduler: Any, output: Any, sample: Any, timestep: Any) -> Any:
    """The latents of the picture that the model's `output` for the noisy `sample` stands for; call it after the step.

    In the notation of Karras et al. (2022) for schedulers that keep x0 + sigma noise, in that of Ho et al. (2020) for
    those that keep sqrt(a) x0 + sqrt(1 - a) noise; v as in Salimans and Ho (2022).
    """
    kind, sigma = type(scheduler).__name__, _sigma(scheduler)
    if "Flow" in kind:
        return sample - sigma * output
    signal, noise = _shares(scheduler, timestep, sigma)
    # These keep their samples unscaled and scale what the model sees.
    unscaled = kind.startswith(("Euler", "Heun", "LMS", "KDPM"))
    seen = sample * signal if unscaled else sample
    predicts = scheduler.config.get("prediction_type", "epsilon")
    if predicts == "v_prediction":
        return signal * seen - noise * output
    return output if predicts == "sample" else (seen - noise * output) / signal


def noised(scheduler: Any, latents: Any, noise: Any, timestep: int) -> Any:
    """The forward process: x at that timestep given the clean `latents`, q(x_t | x_0) of Ho et al. (2020)."""
    share = scheduler.alphas_cumprod[min(int(timestep), len(scheduler.alphas_cumprod) - 1)].to(latents)
    return share**0.5 * latents + (1 - share) ** 0.5 * noise


def _sigma(scheduler: Any) -> Any:
    """The noise level of the step just made, None where the scheduler keeps none."""
    sigmas, index = getattr(scheduler, "sigmas", None), getattr(scheduler, "step_index", None)
    return sigmas[max(0, index - 1)] if sigmas is not None and index is not None else None


def _shares(scheduler: Any, timestep: Any, sigma: Any) -> tuple[Any, Any]:
    """What is left of the picture and what there is of noise; their squares add up to one."""
    if sigma is not None and type(scheduler).__name__ not in ("DDIMScheduler", "DDPMScheduler", "PNDMScheduler"):
        signal = 1 / (sigma**2 + 1) ** 0.5
        return signal, sigma * signal
    share = scheduler.alphas_cumprod[int(timestep)]
    return share**0.5, (1 - share) ** 0.5
