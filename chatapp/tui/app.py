"""The application: one host, one session, the screens, the themes and the keys."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import webbrowser
from collections.abc import Callable
from typing import ClassVar
from urllib.parse import urlsplit

from textual.app import App
from textual.binding import BindingType
from textual.screen import Screen

from chatapp.conversation import Conversation
from chatapp.errors import ChatappError
from chatapp.host import Host
from chatapp.session import Session
from chatapp.text import visible
from chatapp.tui import clipboard, keys, themes
from chatapp.tui.bridge import TextualUI
from chatapp.tui.keys import key
from chatapp.tui.palette import Commands
from chatapp.tui.screens.chat import ChatScreen
from chatapp.tui.widgets.composer import Composer

TWICE_SECONDS = 2.0
"""Within this time a second Ctrl+C quits."""
OPENED = frozenset({"http", "https", "mailto"})
"""Kinds of links that may be opened, once the user has said so."""


class ChatApp(App[int]):
    """The terminal chat. Its host must be loaded; it is started behind the first screen; who made it shuts it down."""

    CSS_PATH = "app.tcss"
    TITLE = "chatapp"
    COMMANDS: ClassVar = {Commands}
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 (a ClassVar would not be Textual's type)
    VERTICAL_BREAKPOINTS = [(0, "-short"), (30, "-tall")]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        key("f1", "help", "help", "Show all keys and what they do.", "app.help", priority=True),
        key(
            "ctrl+c",
            "interrupt",
            "stop",
            "Copy what is selected, else stop, else clear; twice: quit.",
            "app.interrupt",
            priority=True,
        ),
        key("ctrl+q", "quit", "quit", "Quit; what was said is kept.", "app.quit", priority=True),
        key("ctrl+p", "command_palette", "palette", "Find any command, screen or theme.", "app.palette", priority=True),
        key("tab", "focus_next", "next", "Go to the next place.", "app.next"),
        key("shift+tab", "focus_previous", "previous", "Go to the place before.", "app.previous"),
    ]
    COMMAND_PALETTE_BINDING = "ctrl+p"

    def __init__(self, host: Host, conversation: Conversation | None = None) -> None:
        self.own_keys: dict[str, str] = {}
        super().__init__()
        # The palette's key is bound above, with an id, so that it can be changed.
        self._bindings.key_to_bindings["ctrl+p"] = [
            each for each in self._bindings.key_to_bindings["ctrl+p"] if each.id == "app.palette"
        ]
        self.host = host
        host.ui = TextualUI(self)
        self.session = Session(host, conversation, ui=host.ui)
        self.chat = ChatScreen(self.session)
        self._applied: tuple[object, ...] = ()
        self._interrupted = 0.0
        for theme in (themes.DARK, themes.LIGHT):
            self.register_theme(theme)

    def get_default_screen(self) -> Screen[None]:
        """The chat."""
        return self.chat

    def on_mount(self) -> None:
        """Colours and keys first."""
        self.apply_settings()
        for number in (signal.SIGTERM, signal.SIGHUP) if sys.platform != "win32" else ():
            # Without this the default would end the process with the terminal left raw.
            asyncio.get_running_loop().add_signal_handler(number, self.exit)

    def apply_settings(self) -> None:
        """Take on the theme and the keys of the settings, where they changed."""
        core = self.host.settings.core
        now = (core.theme, tuple(core.keys.items()))
        if now == self._applied:
            return
        self._applied = now
        self.theme, problem = themes.theme_for(core.theme, self.available_themes, os.environ)
        self.own_keys, problems = keys.check(core.keys)
        self.set_keymap(self.own_keys)
        for sentence in filter(None, [problem, *problems]):
            self.host.ui.notify(sentence, "warning")

    def choose_theme(self, name: str) -> None:
        """Use a theme and keep it in the settings."""
        self.set_setting("", "theme", name)

    def set_setting(self, table: str, name: str, value: object) -> str:
        """Write a setting and take it on; the sentence that says why not, empty when it fits."""
        try:
            self.host.set_config(table, name, value)
        except ChatappError as error:
            self.host.ui.notify(str(error), "error")
            return str(error)
        self.apply_settings()
        return ""

    async def open_conversation(self, conversation_id: str | None) -> bool:
        """Go on with a conversation of the archive (None: a new one); whether that could be done."""
        try:
            load = self.host.archive.load
            found = await asyncio.to_thread(load, conversation_id) if conversation_id else Conversation()
            await self.session.open(found)
        except ChatappError as error:
            self.host.ui.notify(str(error), "error")
            return False
        await self.chat.resync()
        if not await self.chat.first_run.check():
            self.chat.warmup.start()
        return True

    def pop_to_chat(self) -> None:
        """Close whatever is in front of the chat."""
        while len(self.screen_stack) > 1:
            self.pop_screen()

    def copy_to_clipboard(self, text: str) -> None:
        """Copy by the terminal and by this machine's own clipboard; never raises."""
        self._clipboard = text
        if self._driver is not None and not self.is_headless:
            self._driver.write(clipboard.escape_sequences(text, os.environ))
        self.run_worker(clipboard.copy_locally(text), group="clipboard", exit_on_error=False)

    async def follow(self, address: str) -> None:
        """Ask before a link that a model wrote is opened; only web and mail addresses are."""
        if urlsplit(address).scheme.lower() not in OPENED:
            self.notify(f"This link is not opened: {visible(address)}", severity="warning", markup=False)
        elif await self.host.ui.confirm("Open this link in your browser?", address):
            await asyncio.to_thread(webbrowser.open, address)

    def action_help(self) -> None:
        """Show all keys, those of where the cursor is first."""
        from chatapp.tui.screens.help import HelpScreen, TextScreen

        if isinstance(self.screen, TextScreen):
            self.screen.action_close()
        else:
            focused = self.screen.focused
            self.push_screen(HelpScreen(focused.ancestors_with_self if focused is not None else [self.screen]))

    def action_sessions(self) -> None:
        """The list of conversations."""
        from chatapp.tui.screens.sessions import SessionsScreen

        self._open(lambda: SessionsScreen(self.session))

    def action_models(self) -> None:
        """The models."""
        from chatapp.tui.screens.models import ModelsScreen

        self._open(lambda: ModelsScreen(self.chat))

    def action_settings(self) -> None:
        """The settings."""
        from chatapp.tui.screens.settings import SettingsScreen

        self._open(lambda: SettingsScreen(self.host))

    def _open(self, make: Callable[[], Screen[None]]) -> None:
        self.pop_to_chat()
        try:
            self.push_screen(make())
        except ChatappError as error:
            self.host.ui.notify(str(error), "error")

    def action_interrupt(self) -> None:
        """Ctrl+C: copy a selection, stop what goes on, clear the input, quit; the first of these that applies."""
        focused = self.focused
        selected = self.screen.get_selected_text() or (focused.selected_text if isinstance(focused, Composer) else "")
        if selected:
            self.copy_to_clipboard(selected)
        elif self.chat.runner.stop() or self.chat.first_run.cancel():
            self._interrupted = 0.0
        elif self.screen is self.chat and self.chat.composer.text:
            self.chat.composer.remember(self.chat.composer.text)
            self.chat.composer.clear()
        elif time.monotonic() - self._interrupted < TWICE_SECONDS:
            self.exit()
        else:
            self._interrupted = time.monotonic()
            self.notify("Ctrl+C once more quits.", timeout=TWICE_SECONDS, markup=False)


def run_chat(host: Host, conversation: Conversation | None = None) -> int:
    """Run the chat until the user leaves; the exit code. The host is started here, and shut down whatever happens."""
    return asyncio.run(_run(host, conversation))


async def _run(host: Host, conversation: Conversation | None) -> int:
    before = host.ui
    traced = host.hooks.calls.trace_beside(host.paths.data / "trace.log")
    app = ChatApp(host, conversation)
    try:
        await app.run_async()
    finally:
        # What plugins say while they shut down is for the terminal again.
        host.ui = before
        if traced:
            before.notify(f"The trace of the hooks is in {traced}.")
        await host.shutdown()
    return app.return_code or 0
