"""What the user asked to be remembered, and a style of writing held in a conversation; no weights of a model change."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from chatapp import hookimpl

if TYPE_CHECKING:
    from pydantic import BaseModel

    from chatapp import Action, Block, Turn


@hookimpl
def settings() -> type[BaseModel]:
    """How much is remembered, and how long a style may be."""
    from chatapp_memory.options import MemorySettings

    return MemorySettings


@hookimpl
def actions() -> Iterable[Action]:
    """`/remember`, `/memory …` and `/style …`."""
    from chatapp_memory import commands, style

    yield from commands.ACTIONS
    yield from style.ACTIONS


@hookimpl
async def context(turn: Turn) -> Iterable[Block]:
    """The memories in the stable part of the prompt, those added since beside a message, and the style."""
    from chatapp_memory.recall import memory_blocks
    from chatapp_memory.style import style_blocks

    return [*await memory_blocks(turn), *style_blocks(turn)]
