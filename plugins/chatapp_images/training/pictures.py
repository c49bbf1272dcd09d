"""Drawing the icons, and recolouring them: SVG text in, RGB pixels out."""

from __future__ import annotations

import colorsys
import io
import re
from collections import Counter
from collections.abc import Iterable

import numpy as np
import resvg_py
from numpy.typing import NDArray
from PIL import Image

SIZE = 64
"""Side of a picture, in pixels."""
COLOURS = {
    "red": "#f8312f",
    "orange": "#ff822d",
    "yellow": "#fcd53f",
    "green": "#00b85c",
    "blue": "#0a84e0",
    "purple": "#8d54d0",
    "pink": "#ff8dc5",
    "brown": "#8a5339",
    "black": "#2b2b30",
    "white": "#f1f1f4",
    "grey": "#9b9b9f",
}
"""The colours that are drawn when asked for by name; white is a little darker than the paper."""
GREYS = frozenset({"black", "white", "grey"})
NEAR = 0.11
"""Hues this near, as a part of the circle, are shades of the same paint."""
VIVID = 0.3
FAINT = 0.13
_HUES = (
    (11, "red"),
    (34, "orange"),
    (64, "yellow"),
    (176, "green"),
    (245, "blue"),
    (292, "purple"),
    (336, "pink"),
    (361, "red"),
)
"""Where each hue's name ends on the circle, in degrees."""
_HEX = re.compile(r"#[0-9a-fA-F]{6}\b|#[0-9a-fA-F]{3}\b")
_BOX = re.compile(r'viewBox="0 0 (\d+) (\d+)"')

Pixels = NDArray[np.uint8]


def draw(svg: str, *, shift: tuple[float, float] = (0.0, 0.0), scale: float = 1.0, size: int = SIZE) -> Pixels:
    """The picture on white, (size, size, 3); `shift` in parts of its side, `scale` below 1 makes it smaller."""
    box = _BOX.search(svg)
    if box and (shift != (0.0, 0.0) or scale != 1.0):
        side = float(box[1]) / scale
        x, y = ((float(box[1]) - side) / 2 - part * side for part in shift)
        svg = svg.replace(box[0], f'viewBox="{x:.4f} {y:.4f} {side:.4f} {side:.4f}"')
    png = resvg_py.svg_to_bytes(svg_string=svg, width=size, height=size)
    with Image.open(io.BytesIO(bytes(png))) as picture:
        return flattened(picture)


def flattened(picture: Image.Image) -> Pixels:
    """The picture's colours on white paper, (height, width, 3)."""
    paper = Image.new("RGBA", picture.size, "white")
    paper.alpha_composite(picture.convert("RGBA"))
    return np.asarray(paper.convert("RGB"), dtype=np.uint8)


def hsl(colour: str) -> tuple[float, float, float]:
    """Hue, saturation and lightness, 0 to 1, of `#rgb` or `#rrggbb`."""
    digits = colour.lstrip("#")
    full = digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)
    red, green, blue = (int(full[place : place + 2], 16) / 255 for place in (0, 2, 4))
    hue, light, saturation = colorsys.rgb_to_hls(red, green, blue)
    return hue, saturation, light


def hex_of(hue: float, saturation: float, light: float) -> str:
    """The colour as `#rrggbb`; every part is cut to 0 to 1."""
    parts = colorsys.hls_to_rgb(hue % 1.0, *(min(1.0, max(0.0, part)) for part in (light, saturation)))
    return "#" + "".join(f"{round(part * 255):02x}" for part in parts)


def apart(one: float, other: float) -> float:
    """How far two hues are apart on the circle, 0 to 0.5."""
    return abs((one - other + 0.5) % 1.0 - 0.5)


def areas(svg: str) -> Counter[str]:
    """How many pixels show each colour that the SVG text names."""
    pixels = draw(svg).reshape(-1, 3)
    shown = Counter(f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in pixels.tolist())
    named = {_six(colour): colour for colour in _HEX.findall(svg)}
    return Counter({named[colour]: count for colour, count in shown.items() if colour in named})


def _six(colour: str) -> str:
    digits = colour.lower().lstrip("#")
    return "#" + (digits if len(digits) == 6 else "".join(digit * 2 for digit in digits))


def paint_of(svg: str, name: str = "") -> str | None:
    """The colour that covers most of the picture, saturated ones before greys; None when it names none.

    With `name`, the one of that basic colour that covers most.
    """
    found = areas(svg)
    if name:
        found = Counter({colour: count for colour, count in found.items() if colour_name(colour) == name})
    vivid = Counter({colour: count for colour, count in found.items() if hsl(colour)[1] > VIVID})
    chosen = vivid or found
    return chosen.most_common(1)[0][0] if chosen else None


def recolour(svg: str, name: str, replaced: str = "") -> str:
    """The SVG text with its main paint, in all its shades, in the colour called `name`; the rest stays.

    `replaced` names the basic colour of the paint where that is not the one that covers most.
    """
    paint = paint_of(svg, replaced)
    if paint is None:
        return svg
    hue, saturation, light = hsl(paint)
    goal = hsl(COLOURS[name])

    def changed(match: re.Match[str]) -> str:
        own, strong, bright = hsl(match[0])
        same = apart(own, hue) < NEAR and strong > 0.2 if saturation > VIVID else strong < VIVID
        if not same or bright > 0.97:
            return match[0]
        shade = goal[2] + (bright - light) * 0.7
        return hex_of(goal[0], goal[1], shade)

    return _HEX.sub(changed, svg)


def colour_name(colour: str) -> str:
    """What people call it: one of the names in `COLOURS`."""
    hue, _, light = hsl(colour)
    digits = _six(colour)
    parts = [int(digits[place : place + 2], 16) for place in (1, 3, 5)]
    # Saturation says little about very light and very dark colours, the distance of the parts does.
    vivid = (max(parts) - min(parts)) / 255
    if vivid < FAINT or light < 0.15:
        return "black" if light < 0.3 else "white" if light > 0.88 else "grey"
    if 10 / 360 <= hue < 45 / 360 and (light < 0.42 or (light < 0.58 and vivid < 0.62)):
        return "brown"
    name = next(name for end, name in _HUES if hue * 360 < end)
    return "pink" if name == "red" and light > 0.72 else name


def sheet(pictures: Iterable[Pixels], columns: int) -> Image.Image:
    """The pictures side by side, `columns` in a row."""
    found = list(pictures)
    side = found[0].shape[0]
    paper = Image.new("RGB", (columns * side, -(-len(found) // columns) * side), "white")
    for place, picture in enumerate(found):
        paper.paste(Image.fromarray(picture), (place % columns * side, place // columns * side))
    return paper
