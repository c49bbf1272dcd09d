"""What a model is (its GGUF), how it reads a prompt (tokens) and how sure it was of an answer (probabilities)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

from chatapp import Data, hookimpl

if TYPE_CHECKING:
    from pydantic import BaseModel

    from chatapp import Action, Event, Part, Request, Turn


@hookimpl
def settings() -> type[BaseModel]:
    """Whether token probabilities are recorded."""
    from chatapp_inspect.options import InspectSettings

    return InspectSettings


@hookimpl
def actions() -> Iterable[Action]:
    """`/inspect`, `/inspect tokens`, `/inspect answer`, `/inspect on`, `/inspect off`."""
    from chatapp_inspect.commands import ACTIONS

    return ACTIONS


@hookimpl
def prepare_request(request: Request, turn: Turn) -> Request | None:
    """Ask for probabilities, where they are recorded."""
    from chatapp_inspect.record import ask_for

    return ask_for(request, turn)


@hookimpl
async def transform_stream(stream: AsyncIterator[Event], turn: Turn) -> AsyncIterator[Event]:
    """Note the probabilities that go by; nothing is changed."""
    from chatapp_inspect.record import note

    async for event in stream:
        note(event, turn)
        yield event


@hookimpl
def render_part(part: Part) -> Any:
    """Show what `/inspect` shows in colours and with a cursor."""
    if isinstance(part, Data) and part.name.startswith("inspect."):
        from chatapp_inspect.widgets import widget_for

        return widget_for(part)
    return None
