"""A UI that answers as told and keeps what it was shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from chatapp.consent import Ask, Decision
from chatapp.events import Level, Progress
from chatapp.messages import Part


@dataclass(slots=True)
class RecordingUI:
    """A UI that answers as told and keeps what it was shown; `answers` are taken in turn by questions, then `None`."""

    answers: list[Any] = field(default_factory=list)
    notices: list[tuple[Level, str]] = field(default_factory=list)
    questions: list[str] = field(default_factory=list)
    asked: list[Ask] = field(default_factory=list)
    progressed: list[Progress] = field(default_factory=list)
    shown: list[Part] = field(default_factory=list)

    def notify(self, text: str, level: Level = "information") -> None:
        """Keep the notice."""
        self.notices.append((level, text))

    async def confirm(self, question: str, detail: str = "") -> bool:
        """The next answer, as yes or no."""
        return bool(self._next(question))

    async def choose(self, question: str, options: Sequence[str]) -> str | None:
        """The next answer."""
        answer: str | None = self._next(question)
        return answer

    async def prompt(self, question: str, default: str = "") -> str | None:
        """The next answer, or the default."""
        answer: str | None = self._next(question)
        return answer if answer is not None else default or None

    async def permit(self, ask: Ask) -> Decision:
        """The next answer: a Decision, a permission, or yes (once) and no; `asked` keeps what was asked."""
        self.asked.append(ask)
        answer = self._next(ask.question)
        if isinstance(answer, Decision):
            return answer
        return Decision(answer if isinstance(answer, str) else "once" if answer else "no")  # type: ignore[arg-type]

    def progress(self, progress: Progress) -> None:
        """Keep the progress."""
        self.progressed.append(progress)

    def show(self, part: Part) -> None:
        """Keep the part."""
        self.shown.append(part)

    def _next(self, question: str) -> Any:
        self.questions.append(question)
        return self.answers.pop(0) if self.answers else None
