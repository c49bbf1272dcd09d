"""The model that comes with chatapp: it draws what is asked, in the colour that is asked, in two languages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import pytest

from chatapp import EngineConfig, Host, PictureRequest
from chatapp_images.engine import DiffusersPainter, open_painter
from chatapp_images.models import disk_size, embedded
from tests.plugins.images_support import painted, plain_host


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    """A host that paints with the embedded model."""
    async with plain_host(tmp_path, "icons") as made:
        yield made


def colour(png: bytes) -> tuple[float, float, float]:
    """The mean (red, green, blue), from 0 to 255, of the middle of a picture."""
    from PIL import Image

    image = Image.open(BytesIO(png)).convert("RGB")
    width, height = image.size
    middle = image.crop((width // 4, height // 3, 3 * width // 4, 9 * height // 10)).resize(
        (1, 1), Image.Resampling.BOX
    )
    pixel = middle.getpixel((0, 0))
    assert isinstance(pixel, tuple)
    return float(pixel[0]), float(pixel[1]), float(pixel[2])


async def drawn(painter: DiffusersPainter, prompt: str, seed: int = 1) -> bytes:
    """The PNG of a prompt."""
    return (await painted(painter, PictureRequest(prompt, seed)))[1].png


async def test_it_draws_what_is_asked_in_the_colour_that_is_asked(host: Host) -> None:
    painter = await open_painter(host, EngineConfig("icons", kind="image"), lambda progress: None)
    for prompt in ("a red apple", "maçã vermelha", "red heart"):
        red, green, blue = colour(await drawn(painter, prompt))
        assert red > 1.8 * green, prompt
        assert red > 1.8 * blue, prompt
    for prompt in ("a blue car", "carro azul"):
        red, green, blue = colour(await drawn(painter, prompt))
        assert blue > 1.2 * red, prompt
    red, green, blue = colour(await drawn(painter, "sun"))
    assert min(red, green) > 1.4 * blue
    assert await drawn(painter, "a cat", 7) == await drawn(painter, "a cat", 7)
    assert await drawn(painter, "a cat", 7) != await drawn(painter, "a cat", 8)
    assert (painter.info.details["width"], painter.info.details["licence"]) == (64, "MIT")


def test_it_is_small_and_brings_its_licence() -> None:
    folder = embedded("icons")
    assert disk_size(folder) <= 25_000_000
    assert "Microsoft" in (folder / "LICENSE").read_text(encoding="utf-8")
    assert not list(folder.rglob("*.bin"))
