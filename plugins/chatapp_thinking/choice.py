"""What the user chose: read from words, kept in the conversation's values, shown in the status line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, cast

from chatapp import Session, UsageError
from chatapp_thinking.options import ThinkingSettings

Mode: TypeAlias = Literal["auto", "on", "off"]
KEY = "thinking"
MOST_VOTES, MOST_TOKENS = 25, 100_000
DEFAULT_VOTES = 5
HOW = "Say on, off, auto, a number of tokens, or vote and a number: /think vote 5."


@dataclass(frozen=True, slots=True)
class Choice:
    """How to think: `budget` in tokens of reasoning (None: as many as it takes), `votes` samples (1: no vote)."""

    mode: Mode = "auto"
    budget: int | None = None
    votes: int = 1

    @property
    def label(self) -> str:
        """What the status line shows: "think", "think 300", "vote 5", "think auto"; empty when off."""
        if self.mode == "off":
            return ""
        budget = f" {self.budget}" if self.budget else ""
        if self.votes > 1:
            return f"vote {self.votes}" + (f", think{budget}" if budget else "")
        return f"think{budget}" if self.mode == "on" else "think auto"

    @property
    def sentence(self) -> str:
        """What it means, for the user."""
        if self.mode == "off":
            return "Answers come without thinking first."
        if self.mode == "auto":
            return "Messages that look as if they needed steps are thought about first."
        asked = f"{self.votes} samples vote on each answer" if self.votes > 1 else "Each answer is thought about first"
        return asked + (f", for at most about {self.budget:,} tokens." if self.budget else ".")


def read(text: str) -> Choice:
    """The choice that these words say, all that they leave out being as by default; UsageError when they say none."""
    words = [word for word in re.split(r"[\s:=,]+|(?<=vote)(?=\d)", text.strip().lower()) if word] or ["on"]
    mode: Mode = "on"
    budget, votes = None, 1
    while words:
        word = words.pop(0)
        if word in ("on", "off", "auto"):
            mode = cast(Mode, word)
        elif word == "vote":
            number = int(words.pop(0)) if words and words[0].isdecimal() else DEFAULT_VOTES
            votes = _within(number, 2, MOST_VOTES, "samples can vote")
        elif word.isdecimal():
            budget = _within(int(word), 1, MOST_TOKENS, "tokens can be thought")
        else:
            raise UsageError(f"{word!r} is no way to think. {HOW}")
    if mode != "on" and (budget or votes > 1):
        raise UsageError(f"A budget or a vote needs thinking on. {HOW}")
    return Choice(mode, budget, votes)


def _within(number: int, least: int, most: int, what: str) -> int:
    if not least <= number <= most:
        raise UsageError(f"Between {least} and {most:,} {what}, not {number:,}.")
    return number


def chosen(session: Session) -> Choice:
    """The conversation's choice, the settings' where it has none."""
    settings = session.host.config(ThinkingSettings)
    own = session.values.get(KEY)
    if not isinstance(own, Mapping):
        return Choice(settings.mode, settings.budget, settings.votes if settings.mode != "off" else 1)
    choice = _loaded(own)
    if choice.mode == "off" or choice.budget is not None:
        return choice
    return Choice(choice.mode, settings.budget, choice.votes)


def _loaded(own: Mapping[str, Any]) -> Choice:
    # The values come from a file that may be from elsewhere: what does not fit is as if it were not there.
    mode, budget, votes = own.get("mode"), own.get("budget"), own.get("votes")
    return Choice(
        cast(Mode, mode) if mode in ("auto", "on", "off") else "auto",
        budget if isinstance(budget, int) and 1 <= budget <= MOST_TOKENS else None,
        votes if isinstance(votes, int) and 1 <= votes <= MOST_VOTES else 1,
    )


def choose(session: Session, choice: Choice) -> None:
    """Keep the choice with the conversation and show it."""
    session.values[KEY] = asdict(choice)
    if choice.label:
        session.status[KEY] = choice.label
    else:
        session.status.pop(KEY, None)
