"""The commands about thinking."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

from chatapp import Event, Rest, Session, UsageError, action
from chatapp_thinking.choice import KEY, choose, read
from chatapp_thinking.plan import Plan

WAYS = ("on", "off", "auto", "300", "enough", "vote 5")


def _ways(session: Session, prefix: str) -> Iterable[str]:
    return WAYS


@action("think", ask=True, shell=False)
async def think(
    session: Session, how: Annotated[str, "on, off, auto, a number of tokens, vote and a number", Rest(), _ways] = ""
) -> str:
    """Think before answering: on, off, auto, a budget in tokens (/think 300), or samples that vote (/think vote 5).

    The reasoning is folded away above the answer and left out of later prompts. Alone it switches thinking on.
    `/think enough` ends the reasoning that is under way. A budget and a vote go together: /think 300 vote 5.
    """
    choice = read(how)
    choose(session, choice)
    await session.save()
    return choice.sentence


@action("think enough", shell=False, during=True)
async def enough(session: Session) -> str:
    """End the reasoning that is under way; the answer follows at once."""
    plan = session.turn.notes.get(KEY) if session.busy and session.turn is not None else None
    if not isinstance(plan, Plan) or not plan.inside:
        raise UsageError("Nothing is being thought about now.")
    plan.enough = True
    return "The reasoning ends here; the answer follows."


@action("eval gsm8k")
async def gsm8k(
    session: Session,
    file: Annotated[Path, "Questions and answers, JSON lines as those of GSM8K"],
    *,
    limit: Annotated[int | None, "Only so many questions"] = None,
    skip: Annotated[int, "Leave out so many at the beginning"] = 0,
    think: Annotated[str, "on, off (only the number), a number of tokens, or vote and a number"] = "on",
    out: Annotated[Path | None, "Where the results are kept, to go on from after a stop"] = None,
    model: Annotated[str, "The model that answers"] = "",
) -> AsyncGenerator[Event, None]:
    """Measure how many word problems are answered right, with thinking or without.

    Prints the accuracy with its 95 % interval, the tokens and the seconds. A run that was stopped goes on where it was.
    """
    from chatapp_thinking.evaluate import measured

    stream = measured(session, file, read(think), skip=max(skip, 0), limit=limit, out=out, model=model)
    async with aclosing(stream) as events:
        async for event in events:
            yield event
