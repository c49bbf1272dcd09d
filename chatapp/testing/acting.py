"""Running an action as the chat does."""

from __future__ import annotations

from contextlib import aclosing

from chatapp.errors import EngineError
from chatapp.events import Event, Finished, Notice, Progress
from chatapp.messages import Part, ToolResult, new_id
from chatapp.session import Session
from chatapp.turn import Answer


async def run_action(session: Session, name: str, words: str = "") -> list[Part]:
    """Run the slash line ``/NAME WORDS`` and return the parts it shows; text that streamed is one part.

    Its progress and notices go to the session's UI, as they would in the shell. A ChatappError comes through as it is,
    anything else that it raises as PluginError; an answer that failed is an EngineError.
    """
    shown = Answer(new_id())
    async with aclosing(session.run(f"/{name} {words}".rstrip())) as events:
        async for event in events:
            _take(session, shown, event)
    return shown.parts


def _take(session: Session, shown: Answer, event: Event) -> None:
    if isinstance(event, Progress):
        session.ui.progress(event)
    elif isinstance(event, Notice):
        session.ui.notify(event.text, event.level)
    elif isinstance(event, Finished) and event.reason == "failed":
        raise EngineError(event.error)
    elif isinstance(event, ToolResult):
        shown.parts.append(event)
    else:
        shown.absorb(event)
