"""The painter over a tiny model: pictures, previews, the forward process, stopping, dying and resting."""

from __future__ import annotations

import asyncio
import io
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chatapp import Host, Painter, PictureRequest, WorkerDied
from chatapp_images.engine import DiffusersPainter
from chatapp_images.png import read_facts
from tests.plugins.images_support import SIDE, TOKENS, painted, png
from tests.support_models import soon

pytestmark = pytest.mark.asyncio(loop_scope="module")
images = pytest.importorskip("PIL.Image")
APPLE = PictureRequest("a red apple", 7, steps=6, width=SIDE, height=SIDE)


def pixels(data: bytes | None) -> Any:
    """The decoded picture."""
    assert data is not None
    image = images.open(io.BytesIO(data))
    image.load()
    return image


async def test_what_it_says_of_itself(painting_host: Host, painter: DiffusersPainter) -> None:
    assert isinstance(painter, Painter)
    info = painter.info
    assert info.context_length == TOKENS
    assert info.features == {"edit", "inpaint", "enlarge", "negative", "preview", "adapters"}
    wanted = {"width": SIDE, "height": SIDE, "multiple": 8, "steps": 20, "guidance": 5.0, "scheduler": "ddim"}
    assert wanted.items() <= info.details.items()
    assert info.details["schedulers"][0] == "ddim"
    assert {"euler-a", "unipc", "lcm"} <= set(info.details["schedulers"])
    assert info.details["threads"] == 1
    assert len(info.details["identity"]) == 64


async def test_the_same_seed_gives_the_same_bytes(painter: DiffusersPainter, tmp_path: Path) -> None:
    _, one = await painted(painter, APPLE)
    _, two = await painted(painter, replace(APPLE, preview_every=2))
    _, other = await painted(painter, replace(APPLE, seed=8))
    assert one.png == two.png
    assert one.png != other.png
    (tmp_path / "a.png").write_bytes(one.png)
    facts = read_facts(tmp_path / "a.png")
    assert facts == one.facts
    # What the facts name is enough to paint it again.
    again = PictureRequest(**{name: facts[name] for name in ("prompt", "seed", "steps", "guidance", "width", "height")})
    assert (await painted(painter, again))[1].png == one.png


async def test_small_pictures_are_saved_enlarged(painter: DiffusersPainter) -> None:
    _, picture = await painted(painter, replace(APPLE, width=None, height=None))
    assert (picture.width, picture.height) == (512, 512) == pixels(picture.png).size
    assert picture.facts["painted"] == [SIDE, SIDE]
    _, wide = await painted(painter, replace(APPLE, width=400, height=200))
    assert (wide.width, wide.height, wide.facts["painted"]) == (400, 200, [48, 24])


async def test_previews_come_every_few_steps(painter: DiffusersPainter) -> None:
    steps, picture = await painted(painter, replace(APPLE, steps=10, preview_every=3))
    previews = [pixels(step.preview) for step in steps if step.preview]
    assert [preview.size for preview in previews] == [(SIDE, SIDE)] * 3
    assert [step.done for step in steps if step.preview] == [3, 6, 9]
    # Fast steps are not all told.
    told = [step.done for step in steps]
    assert told == sorted(told)
    assert {1, 10} <= set(told) <= set(range(1, 11))
    assert {step.total for step in steps} == {10}
    none, same = await painted(painter, replace(APPLE, steps=10))
    assert not any(step.preview for step in none)
    assert same.png == picture.png


async def test_the_forward_process_comes_before_the_way_back(painter: DiffusersPainter) -> None:
    steps, picture = await painted(painter, replace(APPLE, preview_every=2, forward=True))
    shown = [step for step in steps if step.preview]
    assert [(step.phase, step.done, step.total) for step in shown] == [
        *[("forward", done, 3) for done in (1, 2, 3)],
        *[("reverse", done, 6) for done in (2, 4, 6)],
    ]
    assert all(step.phase == "reverse" for step in steps if step not in shown)
    # The last frame of the way back is the picture itself, all but what rounding does.
    last, whole = pixels(shown[-1].preview), pixels(picture.png)
    assert max(high for _, high in images_difference(last, whole)) <= 3
    assert picture.png == (await painted(painter, APPLE))[1].png


def images_difference(one: Any, other: Any) -> Any:
    """The least and greatest difference of each colour."""
    from PIL import ImageChops

    return ImageChops.difference(one, other).getextrema()


async def test_closing_stops_it(painter: DiffusersPainter) -> None:
    before = await painter.steps()
    async with aclosing(painter.paint(replace(APPLE, steps=1000))) as told:
        await anext(told)
    # The child answers when it has left the painting.
    assert await painter.steps() - before < 1000


async def test_editing_begins_from_the_picture(painter: DiffusersPainter) -> None:
    red = png(SIDE, SIDE, (200, 30, 30))
    _, kept = await painted(painter, replace(APPLE, image=red, strength=0.0))
    assert images_difference(pixels(kept.png), pixels(red)) == ((0, 0),) * 3
    steps, edited = await painted(painter, replace(APPLE, image=red, strength=0.5))
    assert {step.total for step in steps} == {3}
    assert edited.facts["task"] == "edit"
    assert len(edited.facts["image_sha256"]) == 64
    _, weak = await painted(painter, replace(APPLE, image=red, strength=0.1))
    assert weak.notes == ("10 steps are needed for the strength 0.1.",)


async def test_inpainting_leaves_the_rest_as_it_was(painter: DiffusersPainter) -> None:
    red = png(64, 64, (200, 30, 30))
    request = PictureRequest("a cat", 1, steps=4, image=red, mask=png(64, 64, left=32))
    _, picture = await painted(painter, request)
    image = pixels(picture.png)
    assert image.size == (64, 64)
    assert image.crop((40, 0, 64, 64)).getcolors() == [(24 * 64, (200, 30, 30))]
    assert image.crop((0, 0, 24, 64)).getcolors() != [(24 * 64, (200, 30, 30))]


async def test_enlarging_says_that_it_only_resamples(painter: DiffusersPainter) -> None:
    steps, picture = await painted(painter, PictureRequest("", 1, image=png(40, 20), enlarge=2))
    assert (steps, picture.width, picture.height) == ([], 80, 40)
    assert "adds no detail" in picture.notes[0]
    assert "x4-upscaler" in picture.notes[0]


async def test_every_scheduler_paints(painter: DiffusersPainter) -> None:
    seen = set()
    for name in painter.info.details["schedulers"]:
        _, picture = await painted(painter, replace(APPLE, scheduler=name, preview_every=2))
        assert picture.facts["scheduler"] == name
        seen.add(picture.png)
    assert len(seen) == len(painter.info.details["schedulers"])


async def test_what_of_a_prompt_is_left_out_is_said(painter: DiffusersPainter) -> None:
    _, picture = await painted(painter, replace(APPLE, prompt="a red apple " * 4 + "and a blue house"))
    assert picture.notes == (f"The model reads {TOKENS} tokens of the prompt; left out: 'red apple and a blue house'",)
    assert (await painted(painter, APPLE))[1].notes == ()


async def test_a_negative_prompt_needs_guidance(painter: DiffusersPainter) -> None:
    _, picture = await painted(painter, replace(APPLE, negative="blue", guidance=1.0))
    assert picture.notes == ("The negative prompt was not used, as the model paints without guidance.",)
    _, guided = await painted(painter, replace(APPLE, negative="blue"))
    assert guided.png != (await painted(painter, APPLE))[1].png


async def test_a_killed_child_is_told_and_replaced(painter: DiffusersPainter) -> None:
    import psutil

    _, before = await painted(painter, APPLE)
    async with aclosing(painter.paint(replace(APPLE, steps=1000))) as told:
        await anext(told)
        psutil.Process(painter.pid).kill()
        with pytest.raises(WorkerDied, match="The image process was ended by SIGKILL"):
            async for _ in told:
                pass
    assert (await painted(painter, APPLE))[1].png == before.png


async def test_painting_waits_for_an_answer(painting_host: Host, painter: DiffusersPainter) -> None:
    told: list[Any] = []

    async def paint() -> None:
        async with aclosing(painter.paint(replace(APPLE, steps=300))) as steps:
            async for step in steps:
                told.append(step)

    work = asyncio.ensure_future(paint())
    await soon(lambda: told)
    import psutil

    with painting_host.workers.foreground():
        await soon(lambda: psutil.Process(painter.pid).status() == psutil.STATUS_STOPPED)
        assert not work.done()
    await work
    assert told[-1].width == SIDE


async def test_memory_is_given_back_after_a_while(painting_host: Host, painter: DiffusersPainter) -> None:
    painting_host.set_config("images", "idle_minutes", 0.002)
    try:
        _, before = await painted(painter, APPLE)
        await soon(lambda: painter.pid is None)
        assert (await painted(painter, APPLE))[1].png == before.png
        await soon(lambda: painter.pid is None)
    finally:
        painting_host.set_config("images", "idle_minutes", 5)
