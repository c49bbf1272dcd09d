"""LoRA adapters: load, mix and switch them in mid-conversation, and train them on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from chatapp import Action, hookimpl

# Nothing heavy here: the child that trains imports this package too, and every start of chatapp does.
if TYPE_CHECKING:
    from pydantic import BaseModel


@hookimpl
def settings() -> type[BaseModel]:
    """Where adapters are, and how they are trained."""
    from chatapp_lora.options import LoraSettings

    return LoraSettings


@hookimpl
def actions() -> Iterable[Action]:
    """`/lora` and what is below it."""
    from chatapp_lora import commands

    return [value for value in vars(commands).values() if isinstance(value, Action)]
