"""The twelve hooks a plugin may implement. Implement those you need, as functions marked `@chatapp.hookimpl`.

Any of them may be a plain function, a coroutine function or a generator, but `settings`, `actions`, `engines` and
`render_part` are called where nothing can be awaited. Any may leave out arguments it does not use. One that raises is
reported with its plugin's name, and the others are still called.
Plugins are called in the order of the settings file, bundled ones first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from pydantic import BaseModel

    from chatapp.actions import Action
    from chatapp.context import Block
    from chatapp.engine import EngineConfig, EngineSpec, Request
    from chatapp.events import Event
    from chatapp.host import Host
    from chatapp.messages import Part
    from chatapp.session import Session
    from chatapp.turn import Turn
    from chatapp.ui import Panel

NAMESPACE = "chatapp"
hookspec = pluggy.HookspecMarker(NAMESPACE)
hookimpl = pluggy.HookimplMarker(NAMESPACE)


@hookspec
def settings() -> type[BaseModel]:  # type: ignore[empty-body]
    """Declare the plugin's settings: a pydantic model whose fields all have a default and a description.

    Called when the plugin loads. The model becomes one table of the settings file, named as the plugin, and a page of
    the settings form. Read the values with `host.config(Model)`.
    """


@hookspec
def startup(host: Host) -> None:
    """Do what must be done once, before the first turn. Keep it short: everyone waits for it.

    Called once, in the event loop; load nothing heavy here.
    """


@hookspec
def shutdown(host: Host) -> None:
    """Give back what `startup` or a turn took. Called once, also after a failure of other plugins."""


@hookspec
def actions() -> Iterable[Action]:  # type: ignore[empty-body]
    """Declare what a user can do: functions made with `@chatapp.action`.

    Called when the plugin loads. Each is a slash command, a shell subcommand, a palette entry and, if it says
    `tool=True`, a tool for the model. A name that is taken already is refused, naming both plugins.
    """


@hookspec
def engines() -> Iterable[EngineSpec]:  # type: ignore[empty-body]
    """Declare engines: for answers (`kind="chat"`), pictures ("image"), vectors ("embedding"), documents ("reader").

    Called when the plugin loads; `EngineSpec.open` is called only when the user chose the engine.
    """


@hookspec
def configure_engine(config: EngineConfig, session: Session) -> EngineConfig | None:
    """Change how an engine is opened or tuned, for instance by adding an adapter; None changes nothing.

    Called before every turn; each plugin gets what the one before it returned. An equal configuration costs nothing.
    """


@hookspec
def context(turn: Turn) -> Iterable[Block]:  # type: ignore[empty-body]
    """Add to what the model reads: instructions, examples, memories, passages.

    Called once a turn, before the prompt is laid out. Say truthfully how stable each block is: the core lays the stable
    ones first, so that the engine need not read them again.
    """


@hookspec
def prepare_request(request: Request, turn: Turn) -> Request | None:
    """Change the finished request: sampling, tools, grammar; None changes nothing.

    Called each time the engine is asked, so several times in a turn with tools; each plugin gets what the one before it
    returned. Do not change the messages without need: a changed prefix must be read again.
    """


@hookspec
def transform_stream(stream: AsyncIterator[Event], turn: Turn) -> AsyncIterator[Event]:  # type: ignore[empty-body]
    """Change the answer as it streams: an async generator that takes events and yields events.

    Called each time the engine answers; each plugin reads what the one before it yields. Pass on what you do not know,
    and `Finished` always. If it raises in mid-answer it is dropped, reported, and the rest of the answer passes
    through.
    """


@hookspec
def turn_finished(turn: Turn) -> None:
    """Look at the whole turn once it is complete, stopped or failed; the answer is already in the archive."""


@hookspec
def panels() -> Iterable[Panel]:  # type: ignore[empty-body]
    """Declare side panels. Called when the chat screen is made; only where there is one."""


@hookspec(firstresult=True)
def render_part(part: Part) -> Any:
    """Return a Textual widget that shows this part, or None to leave it to the next; a plain function.

    Called for each part shown; the first widget is taken. Import Textual inside the function: the shell has no use
    for it.
    """
