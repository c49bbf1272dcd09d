"""Where examples to learn from come from: a file, a set of examples, or what was marked in the conversation."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path

from chatapp import Data, Notice, Session, UsageError, visible
from chatapp_lora import marks
from chatapp_lora.training.plan import Example

FEWEST = 8
"""Examples from which on training is worth its time."""
HELD_OUT = 0.1
FEWEST_HELD_OUT = 2
SHOTS = "fewshot.examples"
"""The name of the part that `/shots show` gives."""


@dataclass(frozen=True, slots=True)
class Material:
    """Examples, and in a few words where they are from."""

    examples: tuple[Example, ...]
    source: str


async def gathered(session: Session, data: Path | None = None, shots: str = "", here: bool = False) -> Material:
    """The examples that were asked for; UsageError in one sentence where they cannot be had.

    Of a file, a set of examples and this conversation's marks one may be named; with none the marks are taken.
    """
    if sum((data is not None, bool(shots), here)) > 1:
        raise UsageError("Learn from one source: --data FILE, --shots SET or --here.")
    if shots:
        return Material(await _shots(session, shots), f"the example set {visible(shots)}")
    if data is None:
        return Material(_marked(session, here), "marked answers of a conversation")
    from chatapp_lora.training.reading import read_chats

    path = data.expanduser()
    return Material(tuple(await asyncio.to_thread(read_chats, path)), visible(path.name))


async def _shots(session: Session, name: str) -> tuple[Example, ...]:
    """The set as its own plugin shows it, whole: that knows where its sets are and what is wrong with one."""
    if "shots show" not in session.host.actions:
        raise UsageError("Sets of examples need the plugin 'fewshot'; `chatapp plugin list` shows what is loaded.")
    rows: list[dict[str, str]] = []
    async with aclosing(session.run(f'/shots show "{name}" --whole')) as events:
        async for event in events:
            if isinstance(event, Notice):
                session.ui.notify(event.text, event.level)
            elif isinstance(event, Data) and event.name == SHOTS:
                rows += event.value
    return tuple(Example((("user", row["input"]), ("assistant", row["output"]))) for row in rows)


def _marked(session: Session, here: bool) -> tuple[Example, ...]:
    found = marks.examples(session.conversation)
    if not found and not here:
        raise UsageError(
            "Say what to learn from: --data FILE, --shots SET, or mark this conversation's answers by /good and /fix."
        )
    return tuple(found)


def split(material: Material, seed: int) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """(for training, held out): one of ten and at least two held out, the same ones for each seed.

    What stands twice counts once. UsageError where there are too few to learn from.
    """
    examples = list(dict.fromkeys(material.examples))
    if len(examples) < FEWEST:
        count = len(examples)
        raise UsageError(
            f"There {'is' if count == 1 else 'are'} {count or 'no'} different example{'s' * (count != 1)} in "
            f"{material.source}, and at least {FEWEST} are needed to learn from: add more."
        )
    shuffled = random.Random(seed).sample(examples, len(examples))
    held = max(FEWEST_HELD_OUT, round(len(shuffled) * HELD_OUT))
    return tuple(shuffled[held:]), tuple(shuffled[:held])
