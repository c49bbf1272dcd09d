"""Pictures and masks that come from outside, decoded with care: they may be damaged, turned, transparent or bombs."""

from __future__ import annotations

import io
import warnings
from typing import TYPE_CHECKING

from chatapp import EngineError
from chatapp_images.sizing import Size

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
MOST_BYTES = 100_000_000
MOST_PIXELS = 64_000_000
"""More than cameras take; a few kilobytes of PNG can claim any number."""


def picture(data: bytes, what: str = "picture") -> Image:
    """The picture as RGB, upright and on white; EngineError in one sentence when `data` is none or too large.

    `what` is how messages call it.
    """
    image = _opened(data, what)
    if "A" in image.mode or "transparency" in image.info:
        return _flattened(image, "white")
    return image.convert("RGB")


def mask(data: bytes, size: Size) -> Image:
    """The mask in 8 bits of grey, white where to paint; EngineError when it is not of the picture's `size`."""
    image = _opened(data, "mask")
    if image.size != size:
        raise EngineError(
            f"The mask has {image.size[0]}×{image.size[1]} pixels and the picture {size[0]}×{size[1]}: "
            "make the mask as large as the picture."
        )
    grey = _flattened(image, "black").convert("L") if "A" in image.mode else image.convert("L")
    if grey.getextrema() == (0, 0):
        raise EngineError("The mask is black all over, so nothing would be painted: make white what is to change.")
    return grey


def encoded(image: Image, fast: bool = False) -> bytes:
    """The picture as PNG; `fast` compresses less, for those that are looked at once."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1 if fast else 4)
    return buffer.getvalue()


def resized(image: Image, size: Size) -> Image:
    """The picture in that size, resampled by Lanczos; the very same where it has it."""
    from PIL.Image import Resampling

    return image if image.size == size else image.resize(size, Resampling.LANCZOS)


def _opened(data: bytes, what: str) -> Image:
    if not data:
        raise EngineError(f"The {what} is an empty file: name another one.")
    if len(data) > MOST_BYTES:
        raise EngineError(f"The {what} has {len(data) // 1_000_000} MB, more than 100: reduce it first.")
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Ours is the lower limit.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            if image.width * image.height > MOST_PIXELS:
                raise Image.DecompressionBombError
            image.load()
            return ImageOps.exif_transpose(image)
    except UnidentifiedImageError as error:
        raise EngineError(f"The {what} is not a PNG, JPEG, WebP, GIF or BMP file: name another one.") from error
    except Image.DecompressionBombError as error:
        raise EngineError(f"The {what} has more than {MOST_PIXELS // 1_000_000} million pixels: reduce it.") from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        # What Pillow's decoders raise for damaged files.
        raise EngineError(f"The {what} is damaged or cut off: name another file.") from error


def _flattened(image: Image, colour: str) -> Image:
    from PIL import Image as images

    over = image.convert("RGBA")
    under = images.new("RGBA", over.size, colour)
    under.alpha_composite(over)
    return under.convert("RGB")
