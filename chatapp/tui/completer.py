"""Asks what could come next while the user types, off the event loop, and puts what is taken into the input."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from chatapp.completion import Candidate, complete
from chatapp.errors import ChatappError
from chatapp.tui.widgets.completion import Completion

if TYPE_CHECKING:
    from chatapp.tui.screens.chat import ChatScreen


class Completer:
    """Between the composer and the list of completions."""

    def __init__(self, screen: ChatScreen) -> None:
        self._screen = screen
        self._asked = ""
        self._offered = ""
        self._hurried = ""

    @property
    def list(self) -> Completion:
        """The list."""
        return self._screen.query_one(Completion)

    @property
    def opened(self) -> bool:
        """Whether there is something to choose for what is written now: a list may still be that of a moment ago."""
        return self.list.opened and self._offered == self._screen.composer.before

    @property
    def asking(self) -> bool:
        """Whether an answer for what is written now is still to come."""
        before = self._screen.composer.before
        return _completes(before) and self._offered != before

    def hurry(self) -> None:
        """Take the first answer as soon as it comes: Tab was pressed before it was there."""
        self._hurried = self._screen.composer.before

    def look(self) -> None:
        """The text or the cursor changed: ask anew; an answer to an older question is dropped."""
        before = self._screen.composer.before
        if before == self._asked:
            return
        self._asked = before
        if _completes(before):
            self._screen.run_worker(self._look(before), group="completion", exclusive=True)
        else:
            self.close()

    def close(self) -> None:
        """Nothing to choose, until the text changes."""
        self._screen.workers.cancel_group(self._screen, "completion")
        self.list.close()

    async def _look(self, before: str) -> None:
        session = self._screen.session
        try:
            found = await asyncio.to_thread(complete, session, before, Path.cwd())
        except ChatappError:
            found = []
        except Exception as error:  # noqa: BLE001 - a plugin's completer may raise anything; it is named, typing goes on
            found = []
            owner = session.resolve(before)[0].owner if before.startswith("/") else "chatapp"
            session.host.report(owner, "completion", error)
        if not self._screen.query(Completion):
            # The screen was taken down while its answer was awaited.
            return
        # One candidate that is there already needs no list.
        if len(found) == 1 and found[0].text.strip() == before[found[0].start :].strip():
            found = []
        self._offered = before
        self.list.offer(found)
        if self._hurried == before and self.opened:
            self.steer("tab")
        self._hurried = ""

    def steer(self, what: str) -> None:
        """A key of the composer: up, down, take (Enter) or tab."""
        if what in {"up", "down"}:
            self.list.move(-1 if what == "up" else 1)
            return
        candidate = self.list.chosen or (self.list.first if what == "tab" else None)
        if candidate is None:
            self.close()
            self._screen.composer.submit()
        else:
            self.take(candidate, send=what == "take")

    def take(self, candidate: Candidate, *, send: bool = True) -> None:
        """Put it into the input; a line that is complete with it is sent at once."""
        composer = self._screen.composer
        whole = candidate.text.strip() == composer.before[candidate.start :].strip()
        composer.replace_before(candidate.start, candidate.text)
        self.close()
        if send and (candidate.final or whole):
            composer.submit()


def _completes(before: str) -> bool:
    return before.startswith("/") or "@" in before
