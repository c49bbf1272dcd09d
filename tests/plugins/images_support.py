"""What the tests of pictures share: tiny models, hosts that paint with them, and files of pictures and weights."""

from __future__ import annotations

import json
import math
import struct
import subprocess
import sys
import zlib
from array import array
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from pydantic import BaseModel

from chatapp import Adapter, EngineConfig, Host, Painter, Picture, PictureRequest, PictureStep, hookimpl
from chatapp.testing import RecordingUI, make_host
from chatapp_images.engine import DiffusersPainter, open_painter
from chatapp_images.options import ImagesSettings

SIDE = 32
"""Width and height in pixels of the tiny model's pictures; their sizes are multiples of 8."""
TOKENS = 12
"""How many tokens of a prompt it reads, the two around it included."""


def make_models(folder: Path) -> None:
    """Write the models of `images_maker` into `folder`; takes some seconds."""
    maker = Path(__file__).with_name("images_maker.py")
    command = [sys.executable, "-W", "ignore", str(maker), str(folder), str(SIDE), str(TOKENS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


class Plain:
    """The settings of the plugin without the rest of it."""

    @hookimpl
    def settings(self) -> type[BaseModel]:
        """The settings."""
        return ImagesSettings


@asynccontextmanager
async def plain_host(folder: Path, model: str | Path, offline: bool = True) -> AsyncIterator[Host]:
    """A started host below `folder` that knows the plugin's settings, with that model chosen."""
    host = make_host(folder, RecordingUI(), offline=offline)
    host.add("images", Plain())
    host.set_config("images", "model", str(model))
    await host.startup()
    try:
        yield host
    finally:
        await host.shutdown()


async def opened(host: Host, *adapters: Adapter) -> DiffusersPainter:
    """The chosen model in a child process of its own."""
    return await open_painter(host, EngineConfig("", adapters=adapters, kind="image"), lambda progress: None)


async def painted(painter: Painter, request: PictureRequest) -> tuple[list[PictureStep], Picture]:
    """The steps of a painting and its picture, which must come last and once."""
    async with aclosing(painter.paint(request)) as told:
        every = [each async for each in told]
    steps = [each for each in every if isinstance(each, PictureStep)]
    assert len(steps) == len(every) - 1
    assert isinstance(every[-1], Picture)
    return steps, every[-1]


def weights(tensors: Mapping[str, tuple[tuple[int, ...], float]]) -> bytes:
    """A safetensors file of 32-bit floats: of each tensor its shape and the value all of it has."""
    header, body = {}, b""
    for name, (shape, value) in tensors.items():
        data = array("f", [value] * math.prod(shape)).tobytes()
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, colour: tuple[int, int, int] = (255, 255, 255), left: int | None = None) -> bytes:
    """A PNG of one colour; with `left`, only that many columns have it and the rest is black."""
    row = b"\0" + bytes(colour) * (width if left is None else left) + bytes(3) * (0 if left is None else width - left)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(row * height)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body
