"""A Stable Diffusion of some hundred kilobytes with random weights, made by diffusers in a child process."""

from __future__ import annotations

import json
import math
import struct
import subprocess
import sys
import tempfile
import zlib
from array import array
from collections.abc import Mapping
from contextlib import aclosing
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
from pydantic import BaseModel

from chatapp import Adapter, EngineConfig, Host, Painter, Picture, PictureRequest, PictureStep, hookimpl
from chatapp.testing import RecordingUI, make_host
from chatapp_images.engine import DiffusersPainter, open_painter
from chatapp_images.options import ImagesSettings

SIDE = 32
"""Width and height in pixels of the tiny model's pictures; their sizes are multiples of 8."""
TOKENS = 12
"""How many tokens of a prompt it reads, the two around it included."""

MAKE = """
import pathlib, sys, torch
from diffusers import AutoencoderKL, AutoencoderTiny, DDIMScheduler, DDPMScheduler, StableDiffusionPipeline
from diffusers import StableDiffusionUpscalePipeline, UNet2DConditionModel
from transformers import BertConfig, BertModel, BertTokenizer

folder, seed, side, tokens = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
enlarges = len(sys.argv) > 5
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"a red blue green apple cat house sun . ,".split()]
words += [f"w{n}" for n in range(40)]
torch.manual_seed(seed)
text_encoder = BertModel(BertConfig(
    vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
    max_position_embeddings=tokens, initializer_range=0.5, use_attention_mask=True,
))
unet = UNet2DConditionModel(
    sample_size=side // 4, in_channels=7 if enlarges else 4, out_channels=4, layers_per_block=1, norm_num_groups=4,
    num_class_embeds=1000 if enlarges else None, block_out_channels=(8, 16), cross_attention_dim=16,
    attention_head_dim=2,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
)
if enlarges:
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 8), norm_num_groups=4, layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
    )
else:
    vae = AutoencoderTiny(
        encoder_block_out_channels=(8, 8, 8), decoder_block_out_channels=(8, 8, 8), latent_channels=4,
        num_encoder_blocks=(1, 1, 1), num_decoder_blocks=(1, 1, 1), scaling_factor=1.0,
    )
scheduler = DDIMScheduler(
    beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction", timestep_spacing="trailing",
    clip_sample=False, steps_offset=1,
)
tokenizer = BertTokenizer(vocab={word: n for n, word in enumerate(words)}, model_max_length=tokens)
parts = dict(vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, unet=unet, scheduler=scheduler)
parts |= dict(safety_checker=None, feature_extractor=None)
if enlarges:
    pipeline = StableDiffusionUpscalePipeline(**parts, low_res_scheduler=DDPMScheduler(), watermarker=None)
else:
    pipeline = StableDiffusionPipeline(**parts, requires_safety_checker=False)
pipeline.save_pretrained(folder, safe_serialization=True)
"""


def tiny_pipeline(folder: Path, seed: int = 1, enlarges: bool = False) -> Path:
    """The folder of a pipeline (diffusers layout) that paints 32 by 32 pixels of nothing in particular, fast.

    One that `enlarges` makes pictures four times larger instead. It is made once a process, in some seconds, and
    copied afterwards.
    """
    if find_spec("diffusers") is None:
        pytest.skip("diffusers is not installed: pip install 'chatapp[images]'")
    for name, data in _files(seed, enlarges).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


@cache
def _files(seed: int, enlarges: bool) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as place:
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            MAKE,
            place,
            str(seed),
            str(SIDE),
            str(TOKENS),
            *["enlarges"][: int(enlarges)],
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        paths = [path for path in Path(place).rglob("*") if path.is_file()]
        return {str(path.relative_to(place)): path.read_bytes() for path in paths}


class Plain:
    """The settings of the plugin without the rest of it."""

    @hookimpl
    def settings(self) -> type[BaseModel]:
        """The settings."""
        return ImagesSettings


async def plain_host(folder: Path, model: str | Path, offline: bool = True) -> Host:
    """A started host below `folder` that knows the plugin's settings, with that model chosen."""
    host = make_host(folder, RecordingUI(), offline=offline)
    host.add("images", Plain())
    host.set_config("images", "model", str(model))
    await host.startup()
    return host


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
