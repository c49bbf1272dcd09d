"""The application's own commands and instruction, brought in through the same door as everyone else's.

Registered as the plugin named "chatapp". Each module declares actions; what they do is done by the core.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from chatapp.actions import Action
from chatapp.context import Block
from chatapp.hookspecs import hookimpl

if TYPE_CHECKING:
    from chatapp.turn import Turn


@hookimpl
def actions() -> Iterable[Action]:
    """The commands of every module here."""
    from chatapp.commands import chat, configuration, models, plugin_checks, plugin_packages, plugins, sessions

    for module in (chat, sessions, models, plugins, plugin_packages, plugin_checks, configuration):
        yield from (value for value in vars(module).values() if isinstance(value, Action))


@hookimpl
def context(turn: Turn) -> Iterable[Block]:
    """The instruction every conversation begins with: the conversation's own, or that of the settings."""
    text = turn.values.get("system", turn.session.host.settings.core.system)
    if text:
        yield Block(text, title="Instruction", stability="static", priority=None)
