"""Recording token probabilities as an answer streams by; kept with the turn in memory, never in the archive."""

from __future__ import annotations

from dataclasses import replace

from chatapp import Event, Request, Session, TextDelta, TokenLogprob, Turn
from chatapp_inspect.options import InspectSettings

KEY = "inspect"
"""In the turn's notes: the recorded tokens by round."""
RECORD = "inspect.record"
"""In the conversation's values: True or False where `/inspect on` or `off` was said, over the setting."""
LONGEST = 8_000
"""How many tokens of a turn are kept at most."""


def recording(session: Session) -> bool:
    """Whether probabilities are recorded in this conversation."""
    return bool(session.values.get(RECORD, session.host.config(InspectSettings).record))


def ask_for(request: Request, turn: Turn) -> Request | None:
    """The request with the alternatives asked for; None where they are not recorded or the engine has none."""
    engine = turn.session.host.engines.current()
    if engine is None or "logprobs" not in engine.info.features or not recording(turn.session):
        return None
    wanted = max(request.sampling.logprobs, turn.session.host.config(InspectSettings).alternatives)
    return replace(request, sampling=replace(request.sampling, logprobs=wanted))


def note(event: Event, turn: Turn) -> None:
    """Keep the probabilities that an event carries."""
    if isinstance(event, TextDelta) and event.logprobs:
        kept: dict[int, list[TokenLogprob]] = turn.notes.setdefault(KEY, {})
        if sum(map(len, kept.values())) < LONGEST:
            kept.setdefault(turn.round, []).extend(event.logprobs)


def recorded(session: Session) -> list[TokenLogprob]:
    """The tokens of the last answer; of the last round that has any, where tools were used."""
    kept: dict[int, list[TokenLogprob]] = session.turn.notes.get(KEY, {}) if session.turn is not None else {}
    return kept[max(kept)] if kept else []
