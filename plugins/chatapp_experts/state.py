"""What a conversation keeps of the gate: on or off, how many experts, the floor, who was chosen, the last verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chatapp import Session
from chatapp_experts.options import ExpertsSettings
from chatapp_experts.scoring import Verdict, unpacked

KEY = "experts"
LAST = "experts.last"


@dataclass(frozen=True, slots=True)
class Choice:
    """How the gate is set: at most `top` experts; `floor` None is what was measured best.

    `fixed` are the experts that answer whatever the message, by weight; empty leaves it to the gate.
    """

    on: bool
    top: int
    floor: float | None
    fixed: Mapping[str, float]


def choice(session: Session) -> Choice:
    """The conversation's choice, over the settings'."""
    settings = session.host.config(ExpertsSettings)
    kept = session.values.get(KEY, {})
    return Choice(
        bool(kept.get("on", settings.on)),
        int(kept.get("top", settings.top)),
        kept.get("floor", settings.floor),
        dict(kept.get("fixed", {})),
    )


def choose(session: Session, **changes: Any) -> Choice:
    """Change what is named, keep the rest, and show it in the status line."""
    session.values[KEY] = {**session.values.get(KEY, {}), **changes}
    made = choice(session)
    if made.on:
        session.status[KEY] = " + ".join(made.fixed) or ("on" if made.top == 1 else f"top {made.top}")
    else:
        session.values.pop(LAST, None)
        session.status.pop(KEY, None)
    return made


def last(session: Session) -> Verdict:
    """The verdict on the last message; one without experts where there is none."""
    return unpacked(session.values.get(LAST))
