"""The service in the child process: holds a loaded model and paints with it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from chatapp import EngineError, Job, Picture, PictureRequest
from chatapp_images.inputs import encoded, resized
from chatapp_images.loading import Pipelines, load, own_size
from chatapp_images.orders import Order, facts, order, resampled, usual
from chatapp_images.png import with_facts
from chatapp_images.previewing import Decoder
from chatapp_images.prompts import cut, tokens
from chatapp_images.schedulers import make, name_of, names_for
from chatapp_images.setups import Setup
from chatapp_images.sizing import Rules
from chatapp_images.stepping import Steps, Stopped

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_ENLARGED = 768
"""The longest side in pixels that a model which enlarges is given: its activations grow with the picture's area."""
NICE = 5
"""How far this process steps back for the others of the machine."""


class Service:
    """Holds one model. Every method takes the job first; see `chatapp.Job`."""

    _made: Setup
    _pipelines: Pipelines
    _decoder: Decoder
    _rules: Rules

    def __init__(self) -> None:
        if hasattr(os, "nice"):
            os.nice(NICE)
        self._steps = 0

    def load(self, job: Job, made: Setup, threads: int) -> dict[str, Any]:
        """Load a model; what there is to say of it: the values of `Painter.info.details` and "tokens" of a prompt."""
        import torch

        torch.set_num_threads(threads)
        self._forget()
        loaded = load(made)
        self._pipelines, self._made = loaded, made
        self._decoder = Decoder(loaded.base)
        own = own_size(made)
        self._rules = Rules(own, _multiple(loaded.base), made.shown_size)
        config = {**loaded.scheduler.config, "_class_name": type(loaded.scheduler).__name__}
        steps, guidance = usual(made, self._rules)
        return {
            "width": own[0],
            "height": own[1],
            "multiple": self._rules.multiple,
            "steps": steps,
            "guidance": guidance,
            "schedulers": names_for(config),
            "scheduler": self._scheduler(),
            "device": loaded.device,
            "precision": loaded.precision,
            "threads": threads,
            "tokens": tokens(loaded.base),
            "previews": self._decoder.able,
        }

    def paint(self, job: Job, request: PictureRequest) -> None:
        """Paint, emitting any number of `PictureStep` and then one `Picture`; emits nothing more once cancelled."""
        done = order(request, self._made, self._rules, self._scheduler())
        enlarges = self._made.chosen.entry is not None and self._made.chosen.entry.task == "enlarge"
        if enlarges and done.task != "enlarge":
            raise EngineError(f"{self._made.chosen.name} only enlarges pictures: choose another model to paint.")
        if enlarges and done.image is not None and max(done.image.size) > MOST_ENLARGED:
            width, height = done.image.size
            raise EngineError(
                f"A picture of {width}×{height} pixels is too large for {self._made.chosen.name}: it takes at most "
                f"{MOST_ENLARGED} a side."
            )
        if done.task == "enlarge" and not enlarges:
            job.emit(self._resampled(done))
            return
        try:
            image = self._painted(job, done)
        except Stopped:
            return
        job.emit(self._finished(done, image))

    def steps(self, job: Job) -> int:
        """How many steps this process has made in all."""
        return self._steps

    def _painted(self, job: Job, done: Order) -> Image:
        """The picture as the model paints it."""
        if done.task == "edit" and done.strength == 0 and done.image is not None:
            return done.image
        import torch

        request, pipeline = done.request, self._pipelines.of(done.task)
        pipeline.scheduler = make(done.scheduler, self._pipelines.scheduler)
        steps = Steps(job, self._decoder, pipeline.scheduler, request.preview_every, request.forward, done.steps)
        generator = torch.Generator().manual_seed(request.seed)
        common = {
            "prompt": request.prompt,
            "negative_prompt": request.negative or None,
            "num_inference_steps": done.steps,
            "guidance_scale": done.guidance,
            "generator": generator,
        }
        try:
            # Spares small models some work of torch's own that training needs.
            with torch.inference_mode():
                made = pipeline(**common, **self._inputs(done), **_callback(done, steps)).images[0]
            steps.finish()
            steps.replay(request.seed)
        except (ValueError, RuntimeError, TypeError, LookupError) as error:
            raise EngineError(f"{self._made.chosen.name} could not paint this: {_clause(error)}.") from error
        finally:
            self._steps += steps.run
        image: Image = made
        return image

    def _inputs(self, done: Order) -> dict[str, Any]:
        """What the pipeline for the task takes beside the prompt."""
        width, height = done.canvas.painted
        if done.image is None:
            return {"width": width, "height": height}
        if done.task == "enlarge":
            return {"image": done.image}
        image = resized(done.image, (width, height))
        if done.mask is None:
            return {"image": image, "strength": done.strength}
        cover = resized(done.mask, (width, height))
        return {"image": image, "mask_image": cover, "strength": done.strength, "width": width, "height": height}

    def _finished(self, done: Order, image: Image) -> Picture:
        """The saved picture: of its size, as it was outside a mask, with its facts."""
        saved = resized(image, done.canvas.saved)
        if done.mask is not None and done.image is not None:
            from PIL import Image as images

            # Decoding changes every pixel a little, also where nothing was to change.
            before = resized(done.image, done.canvas.saved)
            saved = images.composite(saved, before, resized(done.mask, done.canvas.saved))
        loaded, request = self._pipelines, done.request
        listed = facts(done, self._made, loaded.device, loaded.precision, _threads())
        notes = done.notes + cut(loaded.base, request.prompt)
        if request.negative and done.guidance > 1:
            notes += cut(loaded.base, request.negative, "negative prompt")
        return Picture(with_facts(encoded(saved), listed), *saved.size, listed, notes)

    def _resampled(self, done: Order) -> Picture:
        assert done.image is not None
        saved = resized(done.image, done.canvas.saved)
        listed = resampled(facts(done, self._made, "", "", 1))
        note = (
            "It was enlarged by resampling (Lanczos), which adds no detail; the model x4-upscaler would paint what is "
            "missing."
        )
        return Picture(with_facts(encoded(saved), listed), *saved.size, listed, (*done.notes, note))

    def _scheduler(self) -> str:
        """The name of the scheduler that is used unless another is asked for."""
        entry = self._made.chosen.entry
        own = self._pipelines.scheduler
        return entry.scheduler if entry is not None else name_of({**own.config, "_class_name": type(own).__name__})

    def _forget(self) -> None:
        """Let go of the model held now, before another takes its place."""
        if hasattr(self, "_decoder"):
            del self._decoder, self._pipelines
        import gc

        gc.collect()


def _multiple(pipeline: Any) -> int:
    """Of how many pixels sides must be multiples: what the autoencoder and the first halving of the model need."""
    factor = int(getattr(pipeline, "vae_scale_factor", 8))
    return max(8, factor if hasattr(pipeline, "unet") else factor * 2)


def _callback(done: Order, steps: Steps) -> dict[str, Any]:
    # The pipeline that enlarges still has the older kind of callback.
    return {"callback": steps.at_old_step} if done.task == "enlarge" else {"callback_on_step_end": steps.at_step}


def _threads() -> int:
    import torch

    return int(torch.get_num_threads())


def _clause(error: BaseException) -> str:
    return (" ".join(str(error).split())[:300] or type(error).__name__).rstrip(".")
