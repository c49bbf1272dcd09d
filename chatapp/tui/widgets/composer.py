"""Where the user writes: several lines, history, and long pastes folded into a chip that is expanded on sending."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import ClassVar

from rich.style import Style as RichStyle
from rich.text import Text as RichText
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

from chatapp.text import visible
from chatapp.tui.keys import editing, key, keys_of

LONG_LINES = 20
LONG_CHARACTERS = 2_000
MOST_HISTORY = 500
CHIP = re.compile(r"\[pasted [\d,]+ (?:lines|characters)(?: #\d+)?\]")
OWN_KEYS = {"enter", "up", "down", "pageup", "pagedown", "ctrl+c", "super+c", "tab"}
"""Keys of Textual's editor that mean something else here."""


class Composer(TextArea, inherit_bindings=False):
    """A text area that sends. `Submitted` carries the text with its pastes expanded."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key(
            "enter",
            "submit",
            "send",
            "Send the message, or take what is chosen in the list.",
            "composer.send",
        ),
        key(
            "ctrl+j,shift+enter,alt+enter",
            "newline",
            "new line",
            "Begin a new line.",
            "composer.newline",
        ),
        key("up", "up", "up", "A line up; in the first line, what was sent before.", "composer.up"),
        key(
            "down",
            "down",
            "down",
            "A line down; in the last line, what was sent later.",
            "composer.down",
        ),
        key("tab", "complete", "complete", "Take what is chosen in the list of completions.", "composer.complete"),
        key(
            "alt+up,ctrl+up",
            "leave",
            "messages",
            "Go to the messages above: copy, edit, answer again.",
            "composer.messages",
        ),
        *editing(TextArea.BINDINGS, "edit", OWN_KEYS),
    ]

    class Submitted(Message):
        """Enter was pressed on `text`, pastes expanded; it may be empty."""

        def __init__(self, text: str) -> None:
            self.text = text
            super().__init__()

    class Steered(Message):
        """A key for the list above was pressed: `what` is "up", "down", "take" or "tab"."""

        def __init__(self, what: str) -> None:
            self.what = what
            super().__init__()

    class Left(Message):
        """The focus should go to the messages."""

    def __init__(self, steering: Callable[[], bool]) -> None:
        """`steering` says whether Enter, Up and Down go to a list above instead."""
        super().__init__(id="composer", soft_wrap=True, show_line_numbers=False, highlight_cursor_line=False)
        self.placeholder = "Ask anything"
        self._steering = steering
        self._pastes: dict[str, str] = {}
        self._history: list[str] = []
        self._place = 0
        self._draft = ""

    @property
    def before(self) -> str:
        """The text before the cursor."""
        return self.get_text_range((0, 0), self.cursor_location)

    @property
    def expanded(self) -> str:
        """The text with every paste in full."""
        return CHIP.sub(lambda match: self._pastes.get(match[0], match[0]), self.text)

    def remember(self, *texts: str) -> None:
        """Add to what Up brings back, the newest last."""
        for text in texts:
            if text.strip() and (not self._history or self._history[-1] != text):
                self._history.append(text)
        del self._history[:-MOST_HISTORY]
        self._place = len(self._history)

    def put(self, text: str) -> None:
        """Replace the text, the cursor at its end; what is long is folded."""
        self.load_text(self._folded(text))
        self.move_cursor(self.document.end)

    def replace_before(self, start: int, text: str) -> None:
        """Replace what is before the cursor from the index `start` on."""
        lines = self.before[:start].split("\n")
        self.replace(text, (len(lines) - 1, len(lines[-1])), self.cursor_location, maintain_selection_offset=False)
        self.move_cursor(self._after(lines, text))

    def _after(self, lines: list[str], text: str) -> tuple[int, int]:
        return (len(lines) - 1, len(lines[-1]) + len(text))

    def action_submit(self) -> None:
        """Send, unless a list is open: then take what is chosen there."""
        if self._steering():
            self.post_message(self.Steered("take"))
        else:
            self.submit()

    def submit(self) -> None:
        """Send what is written and begin anew."""
        text, written = self.expanded.strip(), self.text.strip()
        self.remember(written)
        self.clear()
        self.post_message(self.Submitted(text))

    def action_newline(self) -> None:
        """Begin a new line at the cursor."""
        self._replace_via_keyboard("\n", *self.selection)

    def action_up(self) -> None:
        """A choice up, a line up, or a step back in the history."""
        if self._steering():
            self.post_message(self.Steered("up"))
        elif self.cursor_at_first_line and not self._wrapped_above():
            self._recall(-1)
        else:
            self.action_cursor_up()

    def action_down(self) -> None:
        """A choice down, a line down, or a step forward in the history."""
        if self._steering():
            self.post_message(self.Steered("down"))
        elif self.cursor_at_last_line and self.get_cursor_down_location() == self.document.end:
            self._recall(1)
        else:
            self.action_cursor_down()

    def action_complete(self) -> None:
        """Take a completion."""
        self.post_message(self.Steered("tab"))

    def action_leave(self) -> None:
        """Go to the messages."""
        self.post_message(self.Left())

    def _wrapped_above(self) -> bool:
        return (
            self.get_cursor_up_location() != (0, 0)
            and self.cursor_location != (0, 0)
            and self.wrapped_document.height > 1
        )

    def _recall(self, by: int) -> None:
        if self._place == len(self._history):
            self._draft = self.text
        place = min(max(self._place + by, 0), len(self._history))
        if place != self._place:
            self._place = place
            self.put(self._history[place] if place < len(self._history) else self._draft)

    async def _on_key(self, event: events.Key) -> None:
        """Run what a key is bound to here and now: by way of the app, letters typed after it would overtake it."""
        action = self._bound(event.key)
        if action is not None:
            event.stop()
            event.prevent_default()
            await self.run_action(action)

    def _bound(self, pressed: str) -> str | None:
        bindings = (each for each in self.BINDINGS if isinstance(each, Binding))
        return next((each.action for each in bindings if pressed in keys_of(self.app, each).split(",")), None)

    async def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        text = visible(event.text.replace("\r\n", "\n").replace("\r", "\n"))
        self._replace_via_keyboard(self._folded(text), *self.selection)
        self.focus()

    def _folded(self, text: str) -> str:
        """A chip in place of long text."""
        count = text.count("\n") + 1
        if count <= LONG_LINES and len(text) <= LONG_CHARACTERS:
            return text
        what = f"{count:,} lines" if count > LONG_LINES else f"{len(text):,} characters"
        chip, number = f"[pasted {what}]", 1
        while self._pastes.get(chip, text) != text:
            number += 1
            chip = f"[pasted {what} #{number}]"
        self._pastes[chip] = text
        return chip

    def get_line(self, line_index: int) -> RichText:
        """The line as it is drawn: chips stand out."""
        drawn = super().get_line(line_index)
        if "[pasted " in drawn.plain:
            for match in CHIP.finditer(drawn.plain):
                if match[0] in self._pastes:
                    drawn.stylize(RichStyle(reverse=True), match.start(), match.end())
        return drawn
