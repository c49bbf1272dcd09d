"""What an action or a plugin may ask of whoever is in front of it, whichever surface that is."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from chatapp.events import Level, Progress
from chatapp.messages import Part, Source
from chatapp.text import one_line, visible

if TYPE_CHECKING:
    from chatapp.consent import Ask, Decision, Permission
    from chatapp.session import Session

LINEAR_SECONDS = 5.0
"""How often a linear terminal is told how far the same piece of work is."""
LONGEST_NAME = 200
"""Cells for the name of a source, and for the place in it."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A side panel of the chat. `make` returns a Textual widget and is called when the chat screen is made."""

    name: str
    title: str
    make: Callable[[Session], Any]


class UI(Protocol):
    """The person in front. Every method may be called from any coroutine of the event loop."""

    def notify(self, text: str, level: Level = "information") -> None:
        """Say something that needs no answer."""
        ...

    async def confirm(self, question: str, detail: str = "") -> bool:
        """Ask yes or no; no where nobody can answer."""
        ...

    async def choose(self, question: str, options: Sequence[str]) -> str | None:
        """Ask for one of `options`; None when given up or where nobody can answer."""
        ...

    async def prompt(self, question: str, default: str = "") -> str | None:
        """Ask for a line of text; None when given up or where nobody can answer."""
        ...

    async def permit(self, ask: Ask) -> Decision:
        """Ask whether a tool may do what `ask` says; no where nobody can answer."""
        ...

    def progress(self, progress: Progress) -> None:
        """Show how far a piece of work is."""
        ...

    def show(self, part: Part) -> None:
        """Show a part outside any answer."""
        ...


WHY = "No, and say why"


def answers_to(ask: Ask) -> dict[str, Permission]:
    """What a person may answer, in words, and what it means."""
    found: dict[str, Permission] = {"Once": "once"}
    if not ask.dangers:
        found[f"Always in this conversation: {ask.scope or 'this tool'}"] = "conversation"
    if ask.exact:
        found["Always for exactly this"] = "always"
    return {**found, "No": "no", WHY: "no"}


class PlainUI:
    """Notices and questions as lines on a plain terminal; never a control character that was not ours.

    Questions are only asked where standard input is a terminal; elsewhere the careful answer is given. `linear` tells
    progress now and then in lines of its own, for screen readers and terminals that cannot rewrite a line.
    """

    def __init__(
        self, out: TextIO | None = None, err: TextIO | None = None, *, quiet: bool = False, linear: bool = False
    ) -> None:
        self.out = out if out is not None else sys.stdout
        self.err = err if err is not None else sys.stderr
        self.quiet = quiet
        self.refused = False
        self.linear = linear or os.environ.get("TERM") == "dumb"
        self.in_line = False
        """Whether the text that streams to standard output is in mid-line."""
        self._line = ""
        self._told = ("", 0.0)

    def notify(self, text: str, level: Level = "information") -> None:
        """One line on standard error; information is left out when quiet."""
        if self.quiet and level == "information":
            return
        self._clear()
        if self.in_line and self.out.isatty() and self.err.isatty():
            # Both are the same terminal, where this would stand in the answer's line.
            self.out.write("\n")
            self.out.flush()
            self.in_line = False
        mark = {"information": "", "warning": "Warning: ", "error": "Error: "}[level]
        self.err.write(f"{mark}{visible(text)}\n")
        self.err.flush()

    async def confirm(self, question: str, detail: str = "") -> bool:
        """`y` or `yes` is yes, anything else is no."""
        if detail:
            self.notify(detail, "warning")
        answer = await self._ask(f"{question} [y/N] ")
        return answer is not None and answer.strip().lower() in {"y", "yes"}

    async def choose(self, question: str, options: Sequence[str]) -> str | None:
        """A numbered list; the number or the text itself chooses."""
        for number, option in enumerate(options, 1):
            self.err.write(f"  {number}. {visible(option)}\n")
        answer = (await self._ask(f"{question} [1-{len(options)}] ") or "").strip()
        if answer.isdigit() and 1 <= int(answer) <= len(options):
            return options[int(answer) - 1]
        return answer if answer in options else None

    async def prompt(self, question: str, default: str = "") -> str | None:
        """A line; an empty one takes `default`."""
        answer = await self._ask(f"{question} [{default}] " if default else f"{question} ")
        return None if answer is None else (answer or default)

    async def permit(self, ask: Ask) -> Decision:
        """A numbered list; where nobody can answer it is no, and `refused` remembers it."""
        from chatapp.consent import Decision

        if not sys.stdin.isatty():
            self.refused = True
            return Decision("no", "there is nobody to ask.")
        for line in (ask.detail, *(f"This part can do harm: {each}" for each in ask.dangers)):
            if line:
                self.notify(line, "warning")
        answers = answers_to(ask)
        chosen = await self.choose(ask.question, list(answers))
        if chosen == WHY:
            return Decision("no", await self.prompt("Why not?") or "")
        return Decision(answers[chosen] if chosen is not None else "no")

    def progress(self, progress: Progress) -> None:
        """A line that rewrites itself on a terminal; elsewhere nothing, as logs want no bars."""
        if self.quiet or not self.err.isatty():
            return
        from chatapp.progress import describe

        line = visible(f"{progress.label}: {describe(progress)}")[:100]
        if self.linear:
            self._tell(progress.label, line)
            return
        self.err.write("\r" + line.ljust(len(self._line)))
        self.err.flush()
        self._line = line

    def _tell(self, label: str, line: str) -> None:
        label_before, at = self._told
        now = time.monotonic()
        if label != label_before or now - at >= LINEAR_SECONDS:
            self._told = (label, now)
            self.notify(line)

    def show(self, part: Part) -> None:
        """The part's plain text on standard output."""
        self._clear()
        self.out.write(visible(plain(part)).rstrip("\n") + "\n")
        self.out.flush()

    def done(self) -> None:
        """Forget the progress, so that what follows begins on a line of its own."""
        self._told = ("", 0.0)
        self._clear()

    def _clear(self) -> None:
        if self._line:
            self.err.write("\r" + " " * len(self._line) + "\r")
            self.err.flush()
            self._line = ""

    async def _ask(self, question: str) -> str | None:
        if not sys.stdin.isatty():
            return None
        self._clear()
        self.err.write(visible(question))
        self.err.flush()
        line = await asyncio.to_thread(sys.stdin.readline)
        return line.rstrip("\n") if line else None


def plain(part: Part) -> str:
    """A part as text for a terminal without pictures, a log or a file."""
    describe: dict[str, Callable[[Any], str]] = {
        "text": lambda part: part.text,
        "reasoning": lambda part: f"(thought) {part.text}",
        "tool_call": lambda part: f"(calls {part.name} {dict(part.arguments)})",
        "tool_result": lambda part: f"({part.name}) {part.text}",
        "media": lambda part: f"{part.path}  {part.alt}".rstrip(),
        "source": lambda part: named(part) if part.number is None else f"[{part.number}] {named(part)}",
        "data": lambda part: part.text or f"({part.name})",
    }
    return describe[part.kind](part)


def named(source: Source) -> str:
    """Where a source is from, on one line for people: ``report.pdf, page 3``."""
    return ", ".join(filter(None, [one_line(source.title, LONGEST_NAME), one_line(source.locator, LONGEST_NAME)]))
