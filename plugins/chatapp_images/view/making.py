"""Making the lines of a picture by one of the protocols, in threads of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple, TypeVar

from textual.strip import Strip

from chatapp_images.view.blocks import half_blocks
from chatapp_images.view.drawing import Cell, Protocol
from chatapp_images.view.pixels import Colour, Dimensions, Source, dimensions, read

Result = TypeVar("Result")


class Wish(NamedTuple):
    """What is to be drawn."""

    source: Source
    columns: int
    rows: int
    background: Colour
    protocol: Protocol
    cell: Cell


@dataclass(frozen=True, slots=True)
class Drawn:
    """Lines, and for Kitty what the terminal must be sent before they are shown and once they are not."""

    dimensions: Dimensions
    lines: list[Strip] = field(default_factory=list)
    before: str = ""
    after: str = ""


def draw(wish: Wish) -> Drawn:
    """The lines of a picture. Blocks. Raises UsageError in one sentence where the file cannot be shown."""
    source, columns, rows, background, protocol, cell = wish
    size = dimensions(source)
    if protocol == "halfblock":
        return Drawn(size, half_blocks(read(source, columns, rows * 2, background)))
    image = read(source, columns * cell.width, rows * cell.height, background)
    if protocol == "sixel":
        from chatapp_images.view.sixel import sixels

        return Drawn(size, sixels(image, columns, rows))
    from chatapp_images.view.kitty import new_number, placeholders, removal, transmission

    number = new_number()
    lines = placeholders(columns, rows, number)
    return Drawn(size, lines, transmission(image, columns, rows, number), removal(number))


async def in_thread(function: Callable[..., Result], *arguments: object) -> Result:
    """Call it in one of the threads for pictures."""
    return await asyncio.get_running_loop().run_in_executor(_pool(), function, *arguments)


@cache
def _pool() -> ThreadPoolExecutor:
    """Two threads for all pictures: a gallery must not take the others' turn."""
    return ThreadPoolExecutor(2, "pictures")
