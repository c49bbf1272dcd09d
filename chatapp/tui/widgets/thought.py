"""What the model thought before it answered, folded away while and after it comes."""

from __future__ import annotations

import time

from textual.widget import Widget
from textual.widgets import Static

from chatapp.messages import Reasoning
from chatapp.tui.safe import safe
from chatapp.tui.widgets.fold import Fold


class Thought(Fold):
    """A reasoning part; `grow` adds to it while it streams, and opened it shows what there is so far."""

    def __init__(self, part: Reasoning | None = None) -> None:
        self._text = [part.text] if part is not None else []
        self._since = time.monotonic()
        self._deltas = 0
        self._body: Static | None = None
        super().__init__(title_of(part) if part is not None else "Thinking…", self._make_body, classes="thought")

    def grow(self, text: str) -> None:
        """Take in more of it."""
        self._text.append(text)
        self._deltas += 1
        # A delta is about a token; the exact count comes with the part.
        self.rename(f"Thinking… {time.monotonic() - self._since:.0f} s, {self._deltas:,} tokens")
        if self._body is not None:
            self._body.update(safe("".join(self._text)))

    def settle(self, part: Reasoning | None) -> None:
        """It is complete: say how long it took."""
        seconds = time.monotonic() - self._since
        self.rename(title_of(part) if part is not None else f"Thought for {seconds:.1f} s")

    def _make_body(self) -> Widget:
        self._body = Static(safe("".join(self._text)))
        return self._body


def title_of(part: Reasoning) -> str:
    """``Thought for 3.2 s, 412 tokens``, as far as it is known."""
    facts = [f"for {part.seconds:.1f} s"] if part.seconds else []
    title = " ".join(["Thought", *facts])
    return f"{title}, {part.tokens:,} tokens" if part.tokens else title
