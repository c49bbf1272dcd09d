"""LoRA adapters: load, mix and switch them in mid-conversation, and train them on this machine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from chatapp import Action, Data, EngineConfig, Part, Session, Turn, hookimpl

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
    """`/lora` and what is below it, `/good` and `/fix`."""
    from chatapp_lora import commands, marks, train_commands

    own = [value for value in vars(commands).values() if isinstance(value, Action)]
    return [*own, *train_commands.ACTIONS, *marks.ACTIONS]


@hookimpl
async def configure_engine(config: EngineConfig, session: Session) -> EngineConfig | None:
    """Lay the conversation's adapters over the model that answers."""
    if config.kind != "chat":
        return None
    from chatapp_lora.mixing import laid

    return await laid(config, session)


@hookimpl
def turn_finished(turn: Turn) -> None:
    """Once an answer has come, the switch is paid for."""
    from chatapp_lora.costs import settled

    settled(turn)


@hookimpl
def render_part(part: Part) -> Any:
    """A training that goes on, an adapter's card, and answers side by side."""
    if not isinstance(part, Data) or part.name not in ("lora.training", "lora.card", "lora.compared"):
        return None
    from chatapp_lora.view import made, training

    makers = {"lora.training": training.widget_for, "lora.card": made.card, "lora.compared": made.side_by_side}
    return makers[part.name](part)
