"""Roles: who answers, switched in mid-conversation; only the new role's instructions are read anew."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from chatapp import Action, Block, Request, Turn, hookimpl

if TYPE_CHECKING:
    from pydantic import BaseModel


@hookimpl
def settings() -> type[BaseModel]:
    """The role new conversations begin with, and where the user's own are."""
    from chatapp_roles.options import RolesSettings

    return RolesSettings


@hookimpl
def actions() -> Iterable[Action]:
    """`/role` and what is below it."""
    from chatapp_roles import commands

    return [value for value in vars(commands).values() if isinstance(value, Action)]


@hookimpl
def context(turn: Turn) -> Iterable[Block]:
    """The first role's instructions and examples; beside the message, what switches to the one chosen now."""
    from chatapp_roles.answering import blocks

    return blocks(turn)


@hookimpl
async def prepare_request(request: Request, turn: Turn) -> Request:
    """The role's sampling; its switch once more where the turn that held it has just been left out."""
    from chatapp_roles.answering import prepared

    return await prepared(request, turn)


@hookimpl
def turn_finished(turn: Turn) -> None:
    """Say what a switch cost."""
    from chatapp_roles.answering import tell_cost

    tell_cost(turn)
