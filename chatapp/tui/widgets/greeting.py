"""What an empty conversation shows: what can be done from here, with the keys that do it."""

from __future__ import annotations

from textual.widgets import Static

from chatapp.tui.keys import keys_of, shown
from chatapp.tui.safe import line, lines

ROWS = (
    ("chat.sessions", "open or search an earlier conversation"),
    ("chat.models", "download or choose a model"),
    ("app.palette", "find any command"),
    ("app.help", "all keys"),
)


class Greeting(Static):
    """Shown until there is anything else in the transcript."""

    def on_mount(self) -> None:
        """The keys are the user's own, where they were changed."""
        bindings = {
            binding.id: binding
            for place in (self.app, self.screen)
            for binding in getattr(place, "BINDINGS", ())
            if getattr(binding, "id", None)
        }
        rows = [line(("chatapp", "bold $primary"), ("  an assistant on your own computer", "dim")), line("")]
        for name, text in ROWS:
            key = shown(keys_of(self.app, bindings[name]).split(",")[0])
            rows.append(line((f"{key:>8}", "bold"), (f"  {text}", "dim")))
        self.update(lines(rows))
