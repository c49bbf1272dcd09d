"""Opens the engine behind the chat, so that the first answer need not wait for it."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from textual.worker import Worker

from chatapp.errors import ChatappError

if TYPE_CHECKING:
    from chatapp.tui.screens.chat import ChatScreen


class Warmup:
    """At most one at a time; its progress is in the status line while nothing else goes on."""

    def __init__(self, screen: ChatScreen) -> None:
        self._screen = screen
        self._worker: Worker[None] | None = None

    def start(self) -> None:
        """Open it, or change it to what the session wants now."""
        self._worker = self._screen.run_worker(self._open(), group="warm", exclusive=True)

    def stop(self) -> bool:
        """Give up opening; whether it was under way. The next message opens it anew."""
        if self._worker is None or self._worker.is_finished:
            return False
        self._worker.cancel()
        return True

    async def _open(self) -> None:
        screen = self._screen
        try:
            async with aclosing(screen.session.warm()) as news:
                async for progress in news:
                    if not screen.runner.busy:
                        screen.status.report(progress)
        except ChatappError as error:
            await screen.transcript.say(str(error), "error")
        except Exception as error:  # noqa: BLE001 - an engine is a plugin's: it is named, the chat goes on
            screen.blame("", error)
        finally:
            if not screen.runner.busy and screen.is_attached:
                screen.status.end()
        screen.show_facts()
