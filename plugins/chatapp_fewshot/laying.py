"""What the model reads of a set: its instruction, and the examples that are chosen, within their budget of tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal
from weakref import WeakKeyDictionary

from chatapp import Block, Engine, Host, Session, Turn
from chatapp_fewshot.choice import KEY, Choice, choice_of, keep, kept_choice
from chatapp_fewshot.comparing import rank
from chatapp_fewshot.examples import Example, ExampleSet, spread
from chatapp_fewshot.library import Library
from chatapp_fewshot.options import FewshotSettings

MARKS = 16
"""Tokens that a chat template puts around the two messages of an example, about."""
INSTRUCTION_PRIORITY, EXAMPLES_PRIORITY = 20, 10

_told: WeakKeyDictionary[Host, set[str]] = WeakKeyDictionary()
"""What was said already, so that it is said once and not every turn."""
_costs: WeakKeyDictionary[Host, dict[tuple[str, str], int]] = WeakKeyDictionary()
"""The tokens of examples, by model and example."""


async def blocks(turn: Turn) -> list[Block]:
    """The blocks for this turn, none where nothing is switched on."""
    session = turn.session
    _begin(turn)
    choice = kept_choice(turn.values.get(KEY))
    if choice is None:
        return []
    chosen = await asyncio.to_thread(Library(session.host).read, choice.name)
    _tell(session, *chosen.problems)
    engine = session.host.engines.current()
    assert engine is not None
    budget = min(session.host.config(FewshotSettings).tokens, turn.budget // 2)
    order = await ordered(session, chosen, choice, turn.message.text)
    places = await fit(session.host, engine, chosen.examples, order, budget)
    if len(places) < len(order):
        _tell(
            session,
            f"{len(places)} of {len(order)} examples of {choice.name!r} are used: more do not fit into {budget:,} "
            "tokens (the setting fewshot.tokens, at most half of what the model reads).",
        )
    laid = lay(chosen.examples, places, similar=choice.how == "similar")
    title = f"Examples: {choice.name} ({len(places)} of {len(chosen.examples)})"
    stability: Literal["turn", "session"] = "turn" if choice.how == "similar" else "session"
    found = [Block(laid, title, "examples", stability, EXAMPLES_PRIORITY)] if laid else []
    if chosen.instruction:
        found.append(Block(chosen.instruction, f"Instruction: {choice.name}", priority=INSTRUCTION_PRIORITY))
    return found


def _begin(turn: Turn) -> None:
    """A new conversation begins with the examples of the settings, unless it was told otherwise."""
    session, settings = turn.session, turn.session.host.config(FewshotSettings)
    first = next(session.conversation.path()).id == turn.message.id
    if settings.default and first and KEY not in session.values:
        keep(session, choice_of(settings.default, settings))


async def ordered(session: Session, chosen: ExampleSet, choice: Choice, text: str) -> list[int]:
    """The places of the examples that are wanted, the most wanted first."""
    if choice.how == "similar":
        return (await rank(session, chosen, text))[: choice.count]
    order = spread(chosen.examples)
    return order if choice.how == "all" else order[: choice.count]


async def fit(host: Host, engine: Engine, examples: Sequence[Example], order: Sequence[int], budget: int) -> list[int]:
    """As many of `order`, from its beginning, as `budget` tokens hold; one that is too long is passed over."""
    costs = _costs.setdefault(host, {})
    model = engine.info.model
    unknown = [examples[place] for place in order if (model, examples[place].key) not in costs]
    if unknown:
        counts = await engine.count_tokens([text for each in unknown for text in (each.input, each.output)])
        for number, each in enumerate(unknown):
            costs[model, each.key] = counts[2 * number] + counts[2 * number + 1] + MARKS
    kept = []
    for place in order:
        cost = costs[model, examples[place].key]
        if cost <= budget:
            kept.append(place)
            budget -= cost
    return kept


def lay(examples: Sequence[Example], places: Sequence[int], *, similar: bool) -> tuple[Any, ...]:
    """The examples as messages: in the set's order, or with the most similar one last, next to the message."""
    order = reversed(places) if similar else sorted(places)
    return tuple(message for place in order for message in examples[place].messages())


def _tell(session: Session, *sentences: str) -> None:
    told = _told.setdefault(session.host, set())
    for sentence in sentences:
        if sentence not in told:
            told.add(sentence)
            session.ui.notify(sentence, "warning")
