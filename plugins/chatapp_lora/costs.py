"""What a switch of adapters costs: how much of the conversation must be read again."""

from __future__ import annotations

from collections.abc import Mapping

from chatapp import Session, Turn, Usage
from chatapp_lora.mixing import chosen, show
from chatapp_lora.store import Adapters


def reread(session: Session, before: Mapping[str, float], after: Mapping[str, float]) -> int:
    """Tokens of this conversation that become stale by the switch: all of them, unless only activated ones change."""
    usage = session.turn.usage if session.turn is not None else None
    known = Adapters(session.host)
    changed = {name for name in {*before, *after} if before.get(name, 0.0) != after.get(name, 0.0)}
    ordinary = [name for name in changed if (stored := known.find(name)) is None or not stored.invocation]
    return usage.prompt_tokens + usage.completion_tokens if usage is not None and ordinary else 0


def sentence(session: Session, tokens: int) -> str:
    """What the next answer must read again, with the seconds where the last answer tells how fast that is."""
    if not tokens:
        return "nothing is read again"
    usage = session.turn.usage if session.turn is not None else None
    seconds = tokens / _speed(usage) if usage is not None and _speed(usage) else 0.0
    return f"the next answer reads {tokens:,} tokens again" + (f", about {seconds:.0f} s" if seconds >= 1 else "")


def _speed(usage: Usage) -> float:
    """Tokens a second at which the last prompt was read; 0 where too little was read to tell."""
    return usage.evaluated_tokens / usage.first_token_seconds if usage.evaluated_tokens > 20 else 0.0


def settled(turn: Turn) -> None:
    """The switch is paid for: the status line shows the mix alone."""
    if "lora" in turn.session.status:
        show(turn.session, chosen(turn.session))
