"""What a request comes to with a model's own values: checked, completed, and told as the facts of the picture."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from chatapp import EngineError, PictureRequest
from chatapp_images.inputs import mask, picture
from chatapp_images.setups import Setup
from chatapp_images.sizing import Canvas, Rules, canvas

if TYPE_CHECKING:
    from PIL.Image import Image

USUAL, USUAL_SMALL = (25, 7.5), (20, 5.0)
"""Steps and guidance for models that nobody has said anything better of."""
MOST_STEPS, MOST_GUIDANCE, MOST_SEED = 1000, 100.0, 2**63 - 1
STRENGTH = {"edit": 0.6, "inpaint": 1.0}
SMALL_STRENGTH = 0.9
"""For edits with small models: of so few pixels, less noise leaves shape and colour as they are."""
LEAST_FACTOR, MOST_FACTOR = 2, 8


@dataclass(frozen=True, slots=True)
class Order:
    """A request as it is carried out. `task` is "paint", "edit", "inpaint" or "enlarge"."""

    request: PictureRequest
    task: str
    steps: int
    guidance: float
    scheduler: str
    strength: float | None
    canvas: Canvas
    image: Image | None
    mask: Image | None
    notes: tuple[str, ...]


def order(request: PictureRequest, made: Setup, rules: Rules, scheduler: str) -> Order:
    """The request with the model's values filled in; EngineError in one sentence says what cannot be done.

    `scheduler` is the name of the one that is used unless another is asked for.
    """
    task = _task(request)
    steps, guidance = usual(made, rules)
    steps = request.steps if request.steps is not None else steps
    guidance = request.guidance if request.guidance is not None else guidance
    customary = SMALL_STRENGTH if task == "edit" and rules.small else STRENGTH.get(task)
    strength = request.strength if request.strength is not None else customary
    _check(request, steps, guidance, strength)
    image = picture(request.image) if request.image is not None else None
    cover = mask(request.mask, image.size) if request.mask is not None and image is not None else None
    notes: tuple[str, ...] = ()
    if strength is not None and strength > 0 and int(steps * strength) < 1:
        # Of the steps only the last are made, as many as the strength says.
        steps = math.ceil(1 / strength)
        notes += (f"{steps} steps are needed for the strength {strength:g}.",)
    if request.negative and guidance <= 1:
        notes += ("The negative prompt was not used, as the model paints without guidance.",)
    given = image.size if image is not None else None
    drawn = canvas(rules, request.width, request.height, given) if task != "enlarge" else _enlarged(request, given)
    name = request.scheduler or scheduler
    return Order(request, task, steps, guidance, name, strength, drawn, image, cover, notes + drawn.notes)


def usual(made: Setup, rules: Rules) -> tuple[int, float]:
    """Steps and guidance of the model where nothing else is asked for."""
    entry = made.chosen.entry
    return (entry.steps, entry.guidance) if entry is not None else USUAL_SMALL if rules.small else USUAL


def facts(done: Order, made: Setup, device: str, precision: str, threads: int) -> dict[str, Any]:
    """All it takes to paint the same bytes again, as JSON; `width` and `height` are the saved picture's."""
    request = done.request
    listed: dict[str, Any] = {
        "task": done.task,
        "prompt": request.prompt,
        "negative": request.negative,
        "seed": request.seed,
        "steps": done.steps,
        "guidance": done.guidance,
        "scheduler": done.scheduler,
        "width": done.canvas.saved[0],
        "height": done.canvas.saved[1],
        "painted": list(done.canvas.painted),
        "model": made.chosen.name,
        "identity": made.identity,
        "device": device,
        "precision": precision,
        "threads": threads,
        "diffusers": version("diffusers"),
        "torch": version("torch"),
    }
    if done.image is not None:
        listed["strength"] = done.strength
    if made.adapters:
        listed["adapters"] = [{"name": each.name, "scale": each.scale} for each in made.adapters]
    if request.enlarge is not None:
        listed["enlarge"] = request.enlarge
    for name, data in (("image_sha256", request.image), ("mask_sha256", request.mask)):
        if data is not None:
            listed[name] = hashlib.sha256(data).hexdigest()
    return {name: value for name, value in listed.items() if value is not None}


def resampled(values: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a picture that was only resampled: no model had a part in it."""
    return {name: values[name] for name in ("task", "prompt", "width", "height", "enlarge", "image_sha256")}


def _task(request: PictureRequest) -> str:
    if request.image is None:
        if request.mask is not None or request.enlarge is not None:
            what = "A mask" if request.mask is not None else "Enlarging"
            raise EngineError(f"{what} needs a picture: name one.")
        return "paint"
    if request.enlarge is not None:
        if not LEAST_FACTOR <= request.enlarge <= MOST_FACTOR:
            raise EngineError(f"Enlarging by {request.enlarge} cannot be done: choose {LEAST_FACTOR} to {MOST_FACTOR}.")
        return "enlarge"
    return "edit" if request.mask is None else "inpaint"


def _check(request: PictureRequest, steps: int, guidance: float, strength: float | None) -> None:
    if not 0 <= request.seed <= MOST_SEED:
        raise EngineError(f"The seed {request.seed} is out of range: choose one from 0 to {MOST_SEED}.")
    if not 1 <= steps <= MOST_STEPS:
        raise EngineError(f"{steps} steps cannot be made: choose 1 to {MOST_STEPS}.")
    if not 0 <= guidance <= MOST_GUIDANCE:
        raise EngineError(f"The guidance {guidance:g} is out of range: choose 0 to {MOST_GUIDANCE:g}, often 3 to 9.")
    if strength is not None and not 0 <= strength <= 1:
        raise EngineError(f"The strength {strength:g} is out of range: 0 keeps the picture, 1 forgets it.")


def _enlarged(request: PictureRequest, given: tuple[int, int] | None) -> Canvas:
    width, height = (side * (request.enlarge or 1) for side in given or (0, 0))
    if max(width, height) > 8192:
        raise EngineError(f"The picture would be {width}×{height} pixels: enlarge it to at most 8192 a side.")
    return Canvas((width, height), (width, height))
