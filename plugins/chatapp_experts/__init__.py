"""Experts: a gate that chooses which adapters, role and documents answer each message.

/experts on              find an expert for each message; off ends that
/experts top 2           the two best answer together, by weight
/experts json            this one, whatever the message
/experts why             who was considered for the last message, and with what score
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

from chatapp import Block, Data, EngineConfig, Event, Part, Request, Session, Turn, hookimpl

if TYPE_CHECKING:
    from pydantic import BaseModel

NOTES = "experts"
"""Where a turn holds who answers it; nothing is there while the gate is off."""


@hookimpl
def settings() -> type[BaseModel]:
    """How the gate chooses."""
    from chatapp_experts.options import ExpertsSettings

    return ExpertsSettings


@hookimpl
def actions() -> Iterable[Any]:
    """`/experts` and what is below it, and `eval experts`."""
    from chatapp_experts.commands import ACTIONS

    return ACTIONS


@hookimpl
async def configure_engine(config: EngineConfig, session: Session) -> EngineConfig | None:
    """Find the experts for the message and lay their adapters over the model that answers."""
    if config.kind != "chat":
        return None
    from chatapp_experts.gate import configured

    return await configured(config, session)


@hookimpl
async def context(turn: Turn) -> Iterable[Block]:
    """The instructions of the experts that answer."""
    if NOTES not in turn.notes:
        return ()
    from chatapp_experts.answering import blocks

    return await blocks(turn)


@hookimpl
async def prepare_request(request: Request, turn: Turn) -> Request | None:
    """The sampling of the experts that answer."""
    if NOTES not in turn.notes:
        return None
    from chatapp_experts.answering import prepared

    return await prepared(request, turn)


@hookimpl
def transform_stream(stream: AsyncIterator[Event], turn: Turn) -> AsyncIterator[Event]:
    """Below the answer, who gave it."""
    if NOTES not in turn.notes or not turn.notes[NOTES].mix:
        return stream
    from chatapp_experts.answering import told

    return told(stream, turn)


@hookimpl
async def turn_finished(turn: Turn) -> None:
    """Put back what was on before the expert's role and documents."""
    if NOTES in turn.notes:
        from chatapp_experts.answering import concluded

        await concluded(turn)


@hookimpl
def render_part(part: Part) -> Any:
    """The line below an answer."""
    if not isinstance(part, Data) or part.name != "experts.answered":
        return None
    from chatapp_experts.view import answered

    return answered(part)
