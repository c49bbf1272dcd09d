"""Adapters laid over a tiny model, settings that change, and requests that cannot be carried out."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from chatapp import Adapter, EngineConfig, EngineError, Host, ModelError, PictureRequest, Progress
from chatapp_images import models
from chatapp_images.catalogue import UPSCALER
from chatapp_images.engine import DiffusersPainter, open_painter
from tests.plugins.images_support import SIDE, chunk, painted, png, weights

pytestmark = pytest.mark.asyncio(loop_scope="module")
images = pytest.importorskip("PIL.Image")
Tensors: TypeAlias = dict[str, tuple[tuple[int, ...], float]]
APPLE = PictureRequest("a red apple", 7, steps=6, width=SIDE, height=SIDE)


def pixels(data: bytes) -> bytes:
    """The decoded pixels of a picture."""
    image = images.open(io.BytesIO(data))
    return bytes(image.convert("RGB").tobytes())


UNET = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_q"
KOHYA: Tensors = {
    f"{UNET}.lora_down.weight": ((2, 16), 0.3),
    f"{UNET}.lora_up.weight": ((16, 2), 0.3),
    f"{UNET}.alpha": ((), 2),
}
PLACE = "down_blocks.1.attentions.0.transformer_blocks.0.attn2"
PEFT: Tensors = {f"unet.{PLACE}.to_q.lora_A.weight": ((2, 16), 0.3), f"unet.{PLACE}.to_q.lora_B.weight": ((16, 2), 0.3)}
OLD: Tensors = {
    f"unet.{PLACE}.processor.to_q_lora.down.weight": ((2, 16), 0.3),
    f"unet.{PLACE}.processor.to_q_lora.up.weight": ((16, 2), 0.3),
}


async def test_adapters_are_laid_over_and_taken_off(painter: DiffusersPainter, tmp_path: Path) -> None:
    pid, (_, plain) = painter.pid, await painted(painter, APPLE)
    found = []
    for number, tensors in enumerate((KOHYA, PEFT, OLD)):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(weights(tensors))
        adapter = Adapter("dots", str(path), 8.0)
        assert await painter.tune(EngineConfig("", adapters=(adapter,), kind="image"))
        _, picture = await painted(painter, APPLE)
        assert picture.facts["adapters"] == [{"name": "dots", "scale": 8.0}]
        found.append(pixels(picture.png))
    assert found[0] == found[1] == found[2] != pixels(plain.png)
    assert await painter.tune(EngineConfig("", kind="image"))
    assert (await painted(painter, APPLE))[1].png == plain.png
    assert painter.pid == pid


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        (
            {"lora_unet_mid.lora_down.weight": ((2, 4), 1.0), "lora_unet_mid.lora_up.weight": ((4, 2), 1.0)},
            "1 of its 1",
        ),
        ({**KOHYA, f"{UNET}.lora_up.weight": ((9, 2), 1.0)}, "has other sizes"),
        ({f"{UNET}.lora_down.weight": ((2, 16), 1.0)}, "is incomplete: download it again."),
        ({f"{UNET}.dora_scale": ((16,), 1.0)}, "which is no plain low-rank weight: choose another."),
    ],
)
async def test_an_adapter_of_another_model(
    painter: DiffusersPainter, tmp_path: Path, tensors: dict[str, Any], said: str
) -> None:
    (tmp_path / "a.safetensors").write_bytes(weights(tensors))
    with pytest.raises(EngineError) as caught:
        await painter.tune(EngineConfig("", adapters=(Adapter("dots", str(tmp_path / "a.safetensors")),), kind="image"))
    assert said in str(caught.value)
    assert (await painted(painter, APPLE))[1].facts.get("adapters") is None


async def test_settings_that_open_it_anew(painting_host: Host, painter: DiffusersPainter, tmp_path: Path) -> None:
    assert await painter.tune(EngineConfig("", kind="image"))
    assert not await painter.tune(EngineConfig("icons", kind="image"))
    painting_host.set_config("images", "threads", 2)
    assert not await painter.tune(EngineConfig("", kind="image"))
    painting_host.set_config("images", "threads", None)
    adapter = Adapter("none", str(tmp_path / "none.safetensors"))
    with pytest.raises(ModelError, match=r"There is no adapter at .*none\.safetensors: check the path\.$"):
        await painter.tune(EngineConfig("", adapters=(adapter,), kind="image"))


async def test_opening_tells_what_it_does(painting_host: Host) -> None:
    news: list[Progress] = []
    painting_host.set_config("images", "device", "cuda:9")
    try:
        with pytest.raises(EngineError, match=r"^This machine has no device 'cuda:9' for torch: set images\.device"):
            await open_painter(painting_host, EngineConfig("", kind="image"), news.append)
    finally:
        painting_host.set_config("images", "device", "auto")
    assert [each.label.partition(" ")[0] for each in news] == ["Checking", "Opening"]


def claiming(width: int, height: int) -> bytes:
    """A PNG of some bytes that says it has that many pixels."""
    return png(1, 1)[:8] + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)) + png(1, 1)[33:]


RED = png(SIDE, SIDE, (200, 30, 30))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"steps": 0}, "0 steps cannot be made: choose 1 to 1000."),
        ({"steps": 1001}, "1001 steps cannot be made"),
        ({"guidance": -1.0}, "The guidance -1 is out of range: choose 0 to 100"),
        ({"guidance": float("nan")}, "The guidance nan is out of range"),
        ({"seed": -1}, "The seed -1 is out of range: choose one from 0"),
        ({"scheduler": "magic"}, "There is no scheduler 'magic' for this model: choose one of ddim, ddpm"),
        ({"scheduler": "heun"}, "There is no scheduler 'heun' for this model"),
        ({"width": 8000}, "A picture of 8000×32 cannot be painted: choose sides from 16 to 4096 pixels."),
        ({"width": 400, "height": 50}, "A picture of 400×50 is too narrow: one side may be 4 times the other."),
        ({"image": RED, "strength": 1.5}, "The strength 1.5 is out of range: 0 keeps the picture, 1 forgets it."),
        ({"mask": RED}, "A mask needs a picture: name one."),
        ({"enlarge": 2}, "Enlarging needs a picture: name one."),
        ({"image": RED, "enlarge": 99}, "Enlarging by 99 cannot be done: choose 2 to 8."),
        ({"image": png(2000, 2), "enlarge": 8}, "The picture would be 16000×16 pixels"),
        ({"image": b""}, "The picture is an empty file: name another one."),
        ({"image": b"plain text"}, "The picture is not a PNG, JPEG, WebP, GIF or BMP file: name another one."),
        ({"image": RED[: len(RED) - 30]}, "The picture is damaged or cut off: name another file."),
        ({"image": claiming(60_000, 60_000)}, "The picture has more than 64 million pixels: reduce it."),
        ({"image": claiming(9_000, 9_000)}, "The picture has more than 64 million pixels: reduce it."),
        ({"image": RED, "mask": png(31, 32)}, "The mask has 31×32 pixels and the picture 32×32: make the mask as"),
        ({"image": RED, "mask": png(32, 32, (0, 0, 0))}, "The mask is black all over, so nothing would be painted"),
        ({"image": RED, "mask": b"GIF89a"}, "The mask is "),
    ],
)
async def test_what_cannot_be_done_is_said(painter: DiffusersPainter, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineError) as caught:
        await painted(painter, replace(APPLE, **changes))
    assert str(caught.value).startswith(said)
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)


def jpeg(turned: bool) -> bytes:
    """A picture, red on its left half, that lies on its side and says so where `turned`."""
    upright = images.new("RGB", (32, 32), "black")
    upright.paste((200, 30, 30), (0, 0, 16, 32))
    buffer, exif = io.BytesIO(), images.Exif()
    if turned:
        exif[0x0112] = 6
        upright = upright.rotate(90)
    upright.save(buffer, "JPEG", quality=100, subsampling=0, exif=exif)
    return buffer.getvalue()


async def test_pictures_of_cameras_stand_upright(painter: DiffusersPainter) -> None:
    request = replace(APPLE, strength=0.0)
    _, straight = await painted(painter, replace(request, image=jpeg(turned=False)))
    _, turned = await painted(painter, replace(request, image=jpeg(turned=True)))
    assert pixels(straight.png) == pixels(turned.png)


async def test_what_is_transparent_is_white(painter: DiffusersPainter) -> None:
    buffer = io.BytesIO()
    images.new("RGBA", (SIDE, SIDE), (0, 0, 0, 0)).save(buffer, "PNG")
    _, picture = await painted(painter, replace(APPLE, image=buffer.getvalue(), strength=0.0))
    assert pixels(picture.png) == pixels(png(SIDE, SIDE))


async def test_a_model_that_enlarges(painting_host: Host, image_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As one that comes with the package: found by its name, nothing to download.
    known = {"x4-upscaler": replace(UPSCALER, repository="", steps=3)}
    monkeypatch.setattr(models, "CATALOGUE", known)
    monkeypatch.setattr(models, "embedded", lambda name: image_models / "enlarges")
    config = EngineConfig("x4-upscaler", kind="image")
    painter = await open_painter(painting_host, config, lambda progress: None)
    try:
        steps, picture = await painted(painter, PictureRequest("a cat", 1, image=RED, enlarge=4))
        assert (picture.width, picture.height) == (4 * SIDE, 4 * SIDE)
        assert steps[-1].done == 3
        assert picture.facts["task"] == "enlarge"
        assert picture.notes == ()
        with pytest.raises(EngineError, match=r"^x4-upscaler only enlarges pictures: choose another model to paint\.$"):
            await painted(painter, APPLE)
        with pytest.raises(EngineError, match=r"^A picture of 800×8 pixels is too large for x4-upscaler: it takes at"):
            await painted(painter, replace(APPLE, image=png(800, 8), enlarge=4))
    finally:
        await painter.close()
