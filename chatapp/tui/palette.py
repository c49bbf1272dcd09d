"""The command palette: every action, every screen, every theme."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, cast

from textual.command import DiscoveryHit, Hit, Hits, Provider

from chatapp.actions import Action

if TYPE_CHECKING:
    from chatapp.tui.app import ChatApp

Command = tuple[str, str, Callable[[], object]]


class Commands(Provider):
    """(name, what it does, how it is run) of everything."""

    async def discover(self) -> Hits:
        """All of it, while nothing is typed."""
        for name, about, run in self._commands():
            yield DiscoveryHit(name, run, help=about)

    async def search(self, query: str) -> Hits:
        """What matches in its name or in what it does."""
        matcher = self.matcher(query)
        for name, about, run in self._commands():
            score = max(matcher.match(name), matcher.match(about) * 0.5)
            if score > 0:
                yield Hit(score, matcher.highlight(name), run, text=name, help=about)

    def _commands(self) -> Iterable[Command]:
        app = cast("ChatApp", self.app)
        yield ("Keys and help", "Show all keys and what they do (F1).", app.action_help)
        yield ("Conversations", "Open, search, rename, delete, export (F2).", app.action_sessions)
        yield ("Models", "Download, choose and remove models (F3).", app.action_models)
        yield ("Settings", "Change the settings (F4).", app.action_settings)
        yield ("What was sent", "Show what the model was sent (F5).", app.chat.action_side)
        yield ("Quit", "Leave; what is said is kept.", partial(app.exit, None))
        for action in sorted(app.host.actions.values(), key=lambda each: each.name):
            yield (f"/{action.name}", action.summary, partial(run_action, app, action))
        for theme in sorted(app.available_themes):
            yield (
                f"Theme: {theme}",
                "Use these colours, and keep them in the settings.",
                partial(app.choose_theme, theme),
            )


def run_action(app: ChatApp, action: Action) -> None:
    """Run it, or put it into the input where something has to be added."""
    app.pop_to_chat()
    if any(param.required for param in action.params):
        app.chat.composer.put(f"/{action.name} ")
        app.chat.composer.focus()
    else:
        app.chat.runner.submit(f"/{action.name}")
