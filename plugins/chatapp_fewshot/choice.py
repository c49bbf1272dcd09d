"""Which examples a conversation shows: said in words, and kept with the conversation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from chatapp import Session, UsageError

if TYPE_CHECKING:
    from chatapp_fewshot.options import FewshotSettings

KEY = "fewshot"
"""In the conversation's values and status: what is shown; empty where it was switched off."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which examples of which set: all of it, `count` of it, or the `count` most similar to each message."""

    name: str
    how: Literal["all", "some", "similar"]
    count: int = 0

    def shown(self) -> str:
        """A few words for the status line."""
        return {"all": self.name, "some": f"{self.name} {self.count}", "similar": f"{self.name} similar {self.count}"}[
            self.how
        ]


def choice_of(words: str, settings: FewshotSettings) -> Choice:
    """The choice in words: "tickets", "tickets 3", "tickets:similar", "tickets similar 8"; UsageError for others."""
    name, *rest = words.replace(":", " ").split() or [""]
    how, *number = rest or ["all"]
    if how.isdecimal() and not number and 0 < int(how) <= 5000:
        return Choice(name, "some", int(how))
    if how == "all" and not number:
        return Choice(name, "all")
    if how == "similar" and (not number or number[0].isdecimal()) and len(number) < 2:
        count = int(number[0]) if number else settings.count
        if 0 < count <= 5000:
            return Choice(name, "similar", count)
    raise UsageError(f"{' '.join(rest)!r} chooses no examples: say all, a number from 1, similar, or similar 8.")


def kept_choice(value: Any) -> Choice | None:
    """The choice in a conversation's values; None for what is none, as conversations can be imported."""
    if (
        not isinstance(value, dict)
        or not isinstance(value.get("name"), str)
        or value.get("how")
        not in (
            "all",
            "some",
            "similar",
        )
    ):
        return None
    count = value.get("count", 0)
    return Choice(value["name"], value["how"], count if isinstance(count, int) and count > 0 else 1)


def keep(session: Session, choice: Choice) -> None:
    """Switch the choice on in this conversation, and show it."""
    session.values[KEY] = {"name": choice.name, "how": choice.how, "count": choice.count}
    session.status[KEY] = choice.shown()
