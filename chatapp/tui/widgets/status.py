"""The status line: the model, how full its context is, how fast it answers, what is switched on, what is going on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from textual.content import Content
from textual.widgets import Static

from chatapp.costs import slow
from chatapp.errors import ChatappError
from chatapp.events import Progress
from chatapp.progress import Rate, describe, fraction
from chatapp.session import Session
from chatapp.text import one_line
from chatapp.tui.safe import line, short_model

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
TICK = 0.1
BAR = 8


@dataclass(frozen=True, slots=True)
class Facts:
    """What the left side shows; tokens, and tokens per second."""

    model: str
    used: int = 0
    context: int = 0
    speed: float = 0.0
    on: tuple[str, ...] = ()


def facts_of(session: Session) -> Facts:
    """The facts of a session: from its latest turn, else from the last answer it was opened with."""
    usage: Mapping[str, Any] = {}
    for message in session.conversation.path():
        usage = message.meta.get("usage") or usage
    engine = session.host.engines.current()
    context = engine.info.context_length if engine is not None else int(usage.get("context_length") or 0)
    tokens, seconds = usage.get("completion_tokens") or 0, usage.get("completion_seconds") or 0
    return Facts(
        short_model(session.model),
        (usage.get("prompt_tokens") or 0) + tokens,
        context,
        (tokens - 1) / seconds if seconds > 0 and tokens > 1 else 0.0,
        (
            *filter(None, session.host.status.values()),
            *(f"slow: {name}" for name in slow(session.host)),
            *(f"{name} {value}".strip() for name, value in session.status.items() if value),
        ),
    )


class StatusBar(Static):
    """One line. `begin` and `end` frame something that goes on; `report` says how far it is."""

    def __init__(self) -> None:
        super().__init__(id="status")
        self._facts = Facts("")
        self._doing = ""
        self._progress: Progress | None = None
        self._beside: dict[object, Progress] = {}
        self._rate = Rate()
        self._frame = 0

    def on_mount(self) -> None:
        """The clock of the spinner stands still until something goes on."""
        self._clock = self.set_interval(TICK, self._turn, pause=True)
        self._draw()

    def show_session(self, session: Session) -> None:
        """Show what there is to know about the session now."""
        try:
            self._facts = facts_of(session)
        except ChatappError:
            # A list of models that cannot be read: whoever needs the model says so, this line is only small print.
            self._facts = Facts("no model")
        self._draw()

    def begin(self, doing: str) -> None:
        """Something goes on: ``Writing``."""
        self._doing, self._progress = doing, None
        self._clock.resume()
        self._draw()

    def report(self, progress: Progress) -> None:
        """How far it is; another label begins anew."""
        self._measure(self._progress, progress)
        self._progress = progress
        self._clock.resume()
        self._draw()

    def beside(self, mark: object, progress: Progress | None) -> None:
        """How far something is that goes on beside the conversation (None: it ended); shown when nothing else is."""
        before = self._beside.pop(mark, None)
        if progress is not None:
            if not self._doing:
                self._measure(before, progress)
            self._beside[mark] = progress
        self._rest()

    def end(self) -> None:
        """Nothing goes on any more but what goes on beside."""
        self._doing, self._progress, self._rate = "", None, Rate()
        self._rest()

    def _measure(self, before: Progress | None, progress: Progress) -> None:
        if before is None or before.label != progress.label:
            self._rate = Rate()
        self._rate.feed(progress.done, progress.total)

    def _rest(self) -> None:
        if self._doing or self._progress is not None or self._beside:
            self._clock.resume()
        else:
            self._clock.pause()
        self._draw()

    @property
    def doing(self) -> str:
        """What goes on, as it is shown; empty when nothing does."""
        shown = self._shown
        if shown is not None:
            detail = describe(shown, self._rate)
            return f"{shown.label}: {detail}" if detail else shown.label
        return self._doing

    @property
    def _shown(self) -> Progress | None:
        if self._doing or self._progress is not None:
            return self._progress
        return next(reversed(self._beside.values()), None)

    def on_resize(self) -> None:
        """What fits depends on the width."""
        self._draw()

    def _turn(self) -> None:
        self._frame = (self._frame + 1) % len(SPINNER)
        self._draw()

    def _draw(self) -> None:
        width = self.content_size.width or 80
        right = self._right(width)
        left = self._left(width - right.cell_length - 2)
        gap = max(1, width - left.cell_length - right.cell_length)
        self.update(Content("").join([left, Content(" " * gap), right]))

    def _right(self, width: int) -> Content:
        doing = self.doing
        if not doing:
            return line(("F1", "$primary"), (" help", "dim"))
        spin = (SPINNER[self._frame], "$primary bold")
        shown = self._shown
        part = fraction(shown) if shown is not None else None
        meter = (bar(part, BAR) + " ", "$primary") if part is not None else ""
        escape = "  Esc stops" if width >= 60 else ""
        room = max(12, width // 2 + width // 8 - BAR - len(escape))
        return line(spin, " ", meter, one_line(doing, room), (escape, "dim"))

    def _left(self, room: int) -> Content:
        """As many of the facts as fit, most important first."""
        facts = self._facts
        pieces = [[(one_line(facts.model, 32), "bold")]]
        if facts.context:
            share = facts.used / facts.context
            colour = "$error" if share > 0.9 else "$warning" if share > 0.7 else "$success"
            count = f" {short(facts.used)}/{short(facts.context)}"
            pieces.append([(bar(share, BAR), colour), (count, "")])
        # What is switched on changes the answers; how fast they come is also beside each of them.
        pieces += [[(one_line(each, 24), "$accent")] for each in facts.on]
        pieces += [[(f"{facts.speed:.1f} tok/s", "")]] if facts.speed else []
        shown = Content("")
        for piece in pieces:
            more = line(("  " if shown else "", ""), *piece)
            if shown.cell_length + more.cell_length > room:
                break
            shown = Content("").join([shown, more])
        return shown or line((one_line(facts.model, max(room, 1)), "bold"))


def bar(share: float, width: int) -> str:
    """A bar of `width` cells, filled from the left."""
    filled = min(width, max(0, round(share * width)))
    if share > 0 and not filled:
        filled = 1
    return "━" * filled + "─" * (width - filled)


def short(tokens: int) -> str:
    """A count of tokens in few letters: 840, 1.2k, 32k."""
    if tokens < 1000:
        return str(tokens)
    return f"{tokens / 1000:.1f}k" if tokens < 9950 else f"{tokens / 1000:.0f}k"
