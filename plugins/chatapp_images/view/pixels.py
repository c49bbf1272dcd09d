"""Reading picture files for the screen: any common format, off the event loop, every failure one sentence.

Pillow is imported when the first picture is read.
"""

from __future__ import annotations

import io
import stat
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from chatapp import UsageError, human_bytes, visible

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""What is read: formats whose readers are part of Pillow and start no other program."""
MOST_PIXELS = 80_000_000
LARGEST = 200_000_000
"""Bytes of a file that is read for the screen."""
Source: TypeAlias = Path | bytes
Colour: TypeAlias = tuple[int, int, int]
_warning_filters = threading.Lock()


class Dimensions(NamedTuple):
    """Pixels of a picture."""

    width: int
    height: int


def dimensions(source: Source) -> Dimensions:
    """How large a picture is, of a file by its first bytes. Blocks. Raises UsageError."""
    image = _opened(source)
    with image:
        return Dimensions(*_turned(image))


def read(source: Source, width: int, height: int, background: Colour) -> Image:
    """The picture scaled to these pixels, in RGB; what is transparent shows `background`. Blocks. Raises UsageError."""
    from PIL import Image as Images
    from PIL import ImageOps

    try:
        with _opened(source) as opened:
            # A JPEG is read at the nearest smaller scale its format has, which is many times faster.
            opened.draft(None, (width, height))
            image = ImageOps.exif_transpose(opened)
            image = image.convert("RGBA" if image.has_transparency_data else "RGB")
            large = image.width >= width
            scaled = image.resize((width, height), Images.Resampling.LANCZOS if large else Images.Resampling.BICUBIC)
    except UsageError:
        raise
    except Exception as error:  # a damaged file makes a decoder raise anything
        raise UsageError(f"{_named(source)} is damaged and cannot be shown; paint it again.") from error
    if scaled.mode == "RGBA":
        under = Images.new("RGBA", scaled.size, (*background, 255))
        scaled = Images.alpha_composite(under, scaled).convert("RGB")
    return scaled


def _opened(source: Source) -> Image:
    """The file with its first bytes read."""
    from PIL import Image as Images

    data: Path | io.BytesIO = io.BytesIO(source) if isinstance(source, bytes) else _checked(source)
    try:
        with _warning_filters, warnings.catch_warnings():
            warnings.simplefilter("ignore", Images.DecompressionBombWarning)
            image = Images.open(data, formats=FORMATS)
    except Images.DecompressionBombError as error:
        raise UsageError(_too_many(source)) from error
    except Exception as error:
        raise UsageError(f"{_named(source)} is no picture that can be shown; it should be a PNG or a JPEG.") from error
    if image.width * image.height > MOST_PIXELS:
        image.close()
        raise UsageError(_too_many(source))
    return image


def _checked(path: Path) -> Path:
    """`path`, where it is a file of a sensible size."""
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        reason = "is gone; the picture was moved or deleted" if missing else "cannot be read"
        raise UsageError(f"{_named(path)} {reason}.") from error
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"{_named(path)} is not a file.")
    if found.st_size > LARGEST:
        raise UsageError(
            f"{_named(path)} is {human_bytes(found.st_size)}, too large to show; open it in the system's viewer."
        )
    return path


def _turned(image: Image) -> tuple[int, int]:
    """Width and height as the camera was held."""
    sideways = image.getexif().get(0x0112, 1) >= 5 if image.format in ("JPEG", "TIFF", "WEBP") else False
    return (image.height, image.width) if sideways else (image.width, image.height)


def _too_many(source: Source) -> str:
    return f"{_named(source)} has too many pixels to be shown here; open it in the system's viewer."


def _named(source: Source) -> str:
    return visible(str(source)) if isinstance(source, Path) else "The preview"


def fit(size: tuple[int, int], columns: int, rows: int, aspect: float = 2.0) -> tuple[int, int]:
    """The largest (columns, rows) that keep a picture's shape; `aspect` is a cell's height in widths."""
    width, height = max(size[0], 1), max(size[1], 1)
    columns, rows = max(columns, 1), max(rows, 1)
    wide = min(columns, rows * aspect * width / height)
    return max(1, round(wide)), max(1, min(rows, round(wide * height / width / aspect)))
