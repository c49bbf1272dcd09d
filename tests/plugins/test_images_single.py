"""Models in one .safetensors file: they paint what the same weights in a folder paint."""

from __future__ import annotations

import io
import shutil
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from chatapp import EngineConfig, Host, Picture, PictureRequest, Worker
from chatapp_images.engine import ENVIRONMENT, TARGET, open_painter
from chatapp_images.models import DONE, find
from chatapp_images.setups import setup
from chatapp_images.single import complete, configuration
from tests.plugins.images_support import SIDE, TOKENS, painted, plain_host

images = pytest.importorskip("PIL.Image")
APPLE = PictureRequest("a red apple", 7, steps=4, width=SIDE, height=SIDE)


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """A started host that may not use the network."""
    async with plain_host(tmp_path / "home", "icons") as made:
        yield made


def configured(host: Host, models: Path, name: str) -> Path:
    """The file of that name, its configuration laid where a download leaves it."""
    file = models / f"{name}.safetensors"
    place = configuration(host, find(host, str(file))).path
    shutil.copytree(models / f"{name}-config", place)
    (place / DONE).write_text("{}")
    return file


async def drawn(host: Host, worker: Worker, model: Path) -> bytes:
    """What the model at that path paints in this child process."""
    made = setup(host, EngineConfig(str(model), kind="image"))
    made = replace(made, config=await complete(host, made.chosen, lambda progress: None))
    assert (await worker.call("load", made, 1))["width"] == SIDE
    async with aclosing(worker.stream("paint", APPLE)) as told:
        every = [each async for each in told]
    return pixels(every[-1])


def pixels(picture: Picture) -> bytes:
    """The decoded picture."""
    return bytes(images.open(io.BytesIO(picture.png)).convert("RGB").tobytes())


async def test_a_file_paints_what_its_folder_paints(host: Host, image_models: Path) -> None:
    found: dict[str, bytes] = {}
    worker = host.workers.add("image", TARGET, ENVIRONMENT)
    for name in ("sd", "sd2", "xl"):
        found[name] = await drawn(host, worker, configured(host, image_models, name))
        assert found[name] == await drawn(host, worker, image_models / name), name
    # The two of Stable Diffusion hold the same numbers by other names.
    assert found["sd"] == found["sd2"] != found["xl"]
    assert all(len(set(each)) > 20 for each in found.values())


async def test_a_file_is_opened_as_any_model(host: Host, image_models: Path) -> None:
    file = configured(host, image_models, "sd")
    painter = await open_painter(host, EngineConfig(str(file), kind="image"), lambda progress: None)
    try:
        info, (steps, picture) = painter.info, await painted(painter, replace(APPLE, preview_every=2))
        assert (info.model, info.context_length, info.details["path"]) == (str(file), TOKENS, str(file))
        assert (info.details["width"], info.details["scheduler"], info.details["steps"]) == (SIDE, "pndm", 20)
        assert [step.done for step in steps if step.preview] == [2, 4]
        assert (picture.width, picture.facts["model"]) == (SIDE, str(file))
        # What paints it again is the file's own, whatever lies beside it.
        assert picture.facts["identity"] == info.details["identity"]
        assert await painter.tune(EngineConfig(str(file), kind="image"))
    finally:
        await painter.close()
