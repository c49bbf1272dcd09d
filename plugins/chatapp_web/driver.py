"""What the chat behind a page draws on: textual-serve's driver, which ends the chat when the page's server has gone."""

from __future__ import annotations

import asyncio

from textual import messages
from textual.drivers.web_driver import WebDriver


class PageDriver(WebDriver):
    """As the driver it is made from, but an end of the input is an end: a killed server leaves no chat behind."""

    def start_application_mode(self) -> None:
        """Begin to draw, and remember the loop that is to be told of the end."""
        self._loop = asyncio.get_running_loop()
        super().start_application_mode()

    def run_input_thread(self) -> None:
        """Read what is typed, until there is no more."""
        super().run_input_thread()
        if not self.exit_event.is_set():
            asyncio.run_coroutine_threadsafe(self._app._post_message(messages.ExitApp()), self._loop)
