"""The tutorial's plugin: dice for the chat, and the smallest use of each hook. It needs no model and no package.

Read it from top to bottom; every part works by itself, so take what you need. What it does:

    /dice            roll a die; the model may roll one too, as it is a tool
    /dice luck 3     be lucky for three rolls (kept with the conversation, shown in the status line)
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Annotated, Any

from chatapp import (
    Block,
    Data,
    EngineConfig,
    EngineSpec,
    Event,
    Finished,
    Host,
    Panel,
    Part,
    Request,
    Session,
    TextDelta,
    Turn,
    action,
    hookimpl,
)

if TYPE_CHECKING:
    from pydantic import BaseModel


@hookimpl
def settings() -> type[BaseModel]:
    """One table, `[example]`, in the settings file."""
    from chatapp_example.options import ExampleSettings

    return ExampleSettings


@hookimpl
def startup(host: Host) -> None:
    """Once, before the first turn: here the random numbers are set up."""
    from chatapp_example.options import ExampleSettings

    random.seed(host.config(ExampleSettings).seed)


@hookimpl
def shutdown(host: Host) -> None:
    """Once, at the end: back to numbers nobody can foretell."""
    random.seed()


@action("dice", tool=True, consent="free")
async def dice(session: Session, sides: Annotated[int, "How many sides the die has"] = 0) -> Data:
    """Roll a die."""
    from chatapp_example.options import ExampleSettings

    count = sides or session.host.config(ExampleSettings).sides
    luck = session.values.get("example.luck", 0)
    rolls = [random.randint(1, max(count, 1)) for _ in range(2 if luck else 1)]
    if luck:
        _set_luck(session, luck - 1)
    return Data("example.roll", {"sides": count, "roll": max(rolls)}, f"A die with {count} sides shows {max(rolls)}.")


@action("dice luck", shell=False)
async def luck(session: Session, rolls: Annotated[int, "For how many rolls"] = 1) -> str:
    """Be lucky for some rolls: the better of two counts."""
    _set_luck(session, rolls)
    await session.save()
    return f"You are lucky for {rolls} rolls."


def _set_luck(session: Session, rolls: int) -> None:
    # `values` is saved with the conversation; `status` is what the status line shows as switched on.
    session.values["example.luck"] = max(rolls, 0)
    session.status.pop("example", None)
    if rolls > 0:
        session.status["example"] = f"luck {rolls}"


@hookimpl
def actions() -> Iterable[Any]:
    """Two commands: `/dice` is also `chatapp dice` in the shell and a tool for the model."""
    return [dice, luck]


@hookimpl
def engines() -> Iterable[EngineSpec]:
    """An engine that repeats what it hears: `/model echo` makes the whole chat work without a model."""
    from chatapp_example.echo import open_echo

    yield EngineSpec("echo", open_echo, accepts=lambda host, model: model == "echo", models=lambda host: ["echo"])


@hookimpl
def configure_engine(config: EngineConfig, session: Session) -> EngineConfig | None:
    """Nothing to change; a plugin with adapters would return `dataclasses.replace(config, adapters=...)`."""
    return None


@hookimpl
def context(turn: Turn) -> Iterable[Block]:
    """While luck is on, tell the model: a block that holds for the session, so it is read once and reused."""
    if turn.values.get("example.luck"):
        yield Block("The user is feeling lucky today.", title="Luck", stability="session")


@hookimpl
def prepare_request(request: Request, turn: Turn) -> Request | None:
    """Nothing to change; a plugin could return `dataclasses.replace(request, sampling=...)`."""
    return None


@hookimpl
async def transform_stream(stream: AsyncIterator[Event], turn: Turn) -> AsyncIterator[Event]:
    """Draw a die wherever the answer says ":die:"; everything else passes as it is."""
    async for event in stream:
        if isinstance(event, TextDelta) and ":die:" in event.text:
            event = TextDelta(event.text.replace(":die:", "\N{GAME DIE}"), event.logprobs)
        yield event


@hookimpl
def turn_finished(turn: Turn) -> None:
    """Count the answers that came to an end by themselves."""
    if turn.finished == Finished("stop"):
        turn.session.values["example.answers"] = turn.values.get("example.answers", 0) + 1


@hookimpl
def panels() -> Iterable[Panel]:
    """A side panel that counts the answers of this conversation."""
    from chatapp_example.widgets import answers_panel

    yield Panel("example", "Dice", answers_panel)


@hookimpl
def render_part(part: Part) -> Any:
    """Show a roll as a die; leave every other part to the others."""
    if isinstance(part, Data) and part.name == "example.roll":
        from chatapp_example.widgets import roll_widget

        return roll_widget(part)
    return None
