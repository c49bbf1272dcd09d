"""Several pictures on one, as on a contact sheet."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path

from chatapp import UsageError

TILE, GAP = 256, 8
"""Pixels of a picture's side, and between pictures."""


def sheet(paths: Sequence[Path]) -> tuple[bytes, int, int]:
    """The pictures in rows as a PNG, with its width and height; UsageError names one that cannot be read."""
    from PIL import Image, ImageOps

    columns = math.ceil(math.sqrt(len(paths)))
    rows = math.ceil(len(paths) / columns)
    size = (columns * (TILE + GAP) + GAP, rows * (TILE + GAP) + GAP)
    whole = Image.new("RGB", size, "white")
    for place, path in enumerate(paths):
        try:
            with Image.open(path) as image:
                small = ImageOps.contain(image.convert("RGB"), (TILE, TILE))
        except (OSError, Image.DecompressionBombError) as error:
            raise UsageError(f"{path} is no picture that can be read; /image grid takes those of this chat.") from error
        left = GAP + (place % columns) * (TILE + GAP) + (TILE - small.width) // 2
        top = GAP + (place // columns) * (TILE + GAP) + (TILE - small.height) // 2
        whole.paste(small, (left, top))
    file = io.BytesIO()
    whole.save(file, "PNG")
    return file.getvalue(), *size
