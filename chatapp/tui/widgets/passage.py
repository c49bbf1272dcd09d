"""The passage that a citation stands for, with what is around it in its file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from chatapp.messages import Source
from chatapp.text import one_line
from chatapp.tui.keys import key
from chatapp.tui.safe import line, lines, safe

ABOVE = 3
"""Lines of the text before the passage that are left on the screen."""
LONGEST_TITLE = 300


class PassagePanel(Vertical):
    """One of an answer's sources at a time. `origin` is where the focus was when the first was opened."""

    BINDINGS: ClassVar[list[BindingType]] = [
        key("n,right_square_bracket", "step(1)", "next", "Show the next source of the answer.", "passage.next"),
        key("p,left_square_bracket", "step(-1)", "before", "Show the source before.", "passage.before"),
        key("c", "copy", "copy", "Copy the passage, and where it is from.", "passage.copy"),
        key("y", "copy_path", "copy path", "Copy the file's path.", "passage.copy_path"),
    ]

    def __init__(self) -> None:
        super().__init__(id="passage")
        self.origin: Widget | None = None
        self._sources: Sequence[Source] = ()
        self._place = 0

    def compose(self) -> ComposeResult:
        """Where it is from, above the text."""
        yield Static(id="passage-head")
        with VerticalScroll(id="passage-scroll"):
            for name in ("before", "text", "after"):
                yield Static(id=f"passage-{name}")

    @property
    def source(self) -> Source:
        """What is shown."""
        return self._sources[self._place]

    def show(self, sources: Sequence[Source], place: int) -> None:
        """Show one of these sources, scrolled to the passage."""
        self._sources, self._place = sources, place
        source = self.source
        self.query_one("#passage-head", Static).update(head(source, place, len(sources)))
        for name, text in (("before", source.before), ("text", source.text), ("after", source.after)):
            piece = self.query_one(f"#passage-{name}", Static)
            piece.update(safe(text.strip("\r\n")))
            piece.display = bool(text.strip())
        self.call_after_refresh(self._to_passage)

    def focus_inside(self) -> None:
        """Put the cursor where the text is scrolled."""
        self.query_one("#passage-scroll").focus()

    def action_step(self, by: int) -> None:
        """Another source of the same answer, round and round."""
        if self._sources:
            self.show(self._sources, (self._place + by) % len(self._sources))

    def action_copy(self) -> None:
        """Copy the passage and its file."""
        source = self.source
        where = ", ".join(filter(None, [source.uri or source.title, source.locator]))
        self.app.copy_to_clipboard(f"{source.text.strip()}\n\n{where}\n")
        self.app.notify(f"Copied: {one_line(source.text, 40)}", markup=False)

    def action_copy_path(self) -> None:
        """Copy where the file is."""
        path = self.source.uri or self.source.title
        self.app.copy_to_clipboard(path)
        self.app.notify(f"Copied: {one_line(path, 80)}", markup=False)

    def _to_passage(self) -> None:
        top = self.query_one("#passage-text").virtual_region.y
        self.query_one("#passage-scroll").scroll_to(y=max(0, top - ABOVE), animate=False)


def head(source: Source, place: int, count: int) -> Content:
    """Where a passage is from, how near it was to the question, and which of how many it is."""
    facts = [one_line(source.locator, LONGEST_TITLE)] if source.locator else []
    facts += [f"score {source.score:.2f}"] if source.score is not None else []
    facts += [f"{place + 1} of {count}"] if count > 1 else []
    rows = [line((f"[{source.number}] ", "$accent bold"), (one_line(source.title, LONGEST_TITLE), "bold"))]
    rows += [line(" · ".join(facts))] if facts else []
    rows += [line((one_line(source.uri, 1_000), "dim"))] if source.uri not in ("", source.title) else []
    return lines(rows)
