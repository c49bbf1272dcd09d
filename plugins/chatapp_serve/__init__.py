"""This assistant, with its plugins, for other programs: the interface that OpenAI's clients speak."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from chatapp import hookimpl

if TYPE_CHECKING:
    from pydantic import BaseModel

    from chatapp import Action, Request, Turn


@hookimpl
def settings() -> type[BaseModel]:
    """Where it is served, and what one client may ask for."""
    from chatapp_serve.options import ServeSettings

    return ServeSettings


@hookimpl
def actions() -> Iterable[Action]:
    """`chatapp serve`."""
    from chatapp_serve.commands import serve

    yield serve


@hookimpl
def prepare_request(request: Request, turn: Turn) -> Request | None:
    """Hold the model to what the client says of calling its tools."""
    choice = turn.values.get("serve.tool_choice")
    return replace(request, template={**request.template, "tool_choice": choice}) if choice else None
