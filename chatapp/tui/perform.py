"""Running a command from a screen: what it says is a notice there."""

from __future__ import annotations

from contextlib import aclosing

from chatapp.errors import ChatappError
from chatapp.events import Progress
from chatapp.session import Session
from chatapp.ui import plain


async def perform(session: Session, line: str, *, quiet: bool = False) -> bool:
    """Run the slash line; whether it went well. A failure is a notice, and so is what it says unless `quiet`."""
    try:
        async with aclosing(session.run(line)) as events:
            async for event in events:
                if isinstance(event, Progress):
                    session.ui.progress(event)
                elif not quiet:
                    session.ui.notify(plain(event))  # type: ignore[arg-type]
    except ChatappError as error:
        session.ui.notify(str(error), "error")
        return False
    return True
