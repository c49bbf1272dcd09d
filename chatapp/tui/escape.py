"""What Escape means: the nearest thing that can be closed or stopped, always at once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chatapp.tui.runner import last_of

if TYPE_CHECKING:
    from chatapp.tui.screens.chat import ChatScreen

TWICE_SECONDS = 2.0
"""Within this time a second Escape edits the last message."""


class Escape:
    """Remembers when it was pressed last."""

    def __init__(self, screen: ChatScreen) -> None:
        self._screen = screen
        self._pressed = 0.0

    def forget(self) -> None:
        """Something else happened: the next one is a first one."""
        self._pressed = 0.0

    def press(self) -> None:
        """Close the list; else stop what goes on; else go back, step by step, to an empty input."""
        screen = self._screen
        if screen.completer.opened:
            screen.completer.close()
        elif not any(stop() for stop in (screen.runner.stop, screen.first_run.cancel, screen.warmup.stop)):
            self._back()

    def _back(self) -> None:
        screen = self._screen
        if screen.runner.take_back():
            return
        if screen.side.reading:
            screen.show_side(False)
        elif screen.focused is not screen.composer:
            screen.composer.focus()
        elif screen.side.display:
            screen.show_side(False)
        elif screen.editing is not None:
            screen.editing = None
            screen.composer.put("")
            screen.show_hints()
        elif not screen.composer.text:
            self._twice()

    def _twice(self) -> None:
        screen = self._screen
        last = last_of(list(screen.session.conversation.path()), "user")
        if last is not None and time.monotonic() - self._pressed < TWICE_SECONDS:
            screen.edit(last.id, last.text)
        elif last is not None:
            self._pressed = time.monotonic()
            screen.composer.border_subtitle = "Esc once more edits your last message"
