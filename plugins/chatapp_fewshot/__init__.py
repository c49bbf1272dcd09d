"""Examples in the prompt: named sets of input/output pairs that show the model what is wanted.

/shots tickets            all of a set, in the stable part of the prompt
/shots tickets similar    the few that are most like each message
/shots add tickets        make the last exchange an example
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from chatapp import Block, Turn, hookimpl

if TYPE_CHECKING:
    from pydantic import BaseModel


@hookimpl
def settings() -> type[BaseModel]:
    """How many similar examples, and how many tokens they may take."""
    from chatapp_fewshot.options import FewshotSettings

    return FewshotSettings


@hookimpl
def actions() -> Iterable[Any]:
    """`/shots` and what belongs to it, and `eval fewshot`."""
    from chatapp_fewshot.commands import ALL

    return ALL


@hookimpl
async def context(turn: Turn) -> Iterable[Block]:
    """The set that is switched on: its instruction, and its examples as turns of their own."""
    from chatapp_fewshot.options import FewshotSettings

    if not turn.values.get("fewshot") and not turn.session.host.config(FewshotSettings).default:
        return ()
    from chatapp_fewshot.laying import blocks

    return await blocks(turn)
