"""Prompt templates: texts with variables that are sent as your message."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from chatapp import Action, hookimpl

if TYPE_CHECKING:
    from pydantic import BaseModel


@hookimpl
def settings() -> type[BaseModel]:
    """Where the user's own templates are."""
    from chatapp_prompts.options import PromptsSettings

    return PromptsSettings


@hookimpl
def actions() -> Iterable[Action]:
    """`/prompt` and what is below it."""
    from chatapp_prompts import commands

    return [value for value in vars(commands).values() if isinstance(value, Action)]
