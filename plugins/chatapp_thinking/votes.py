"""Self-consistency (Wang et al., 2022, arXiv:2203.11171): several samples, and the answer that most of them came to."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from chatapp import (
    ChatappError,
    Data,
    Event,
    Finished,
    Notice,
    Progress,
    ReasoningDelta,
    Request,
    TextDelta,
    TokenLogprob,
    ToolCall,
    Turn,
    Usage,
)
from chatapp_thinking.answering import answered
from chatapp_thinking.answers import answer_key, majority
from chatapp_thinking.closing import together
from chatapp_thinking.plan import current, plan_of


@dataclass(slots=True)
class Sample:
    """One answer: its reasoning and text, what it cost, how it ended."""

    reasoning: str = ""
    text: str = ""
    logprobs: tuple[TokenLogprob, ...] = ()
    usage: Usage | None = None
    finished: Finished | None = None
    calls: list[ToolCall] = field(default_factory=list)

    def absorb(self, event: Event) -> None:
        """Take in what belongs to it."""
        if isinstance(event, ReasoningDelta):
            self.reasoning += event.text
        elif isinstance(event, TextDelta):
            self.text += event.text
            self.logprobs += event.logprobs
        elif isinstance(event, Usage):
            self.usage = event
        elif isinstance(event, Finished):
            self.finished = event
        elif isinstance(event, ToolCall):
            self.calls.append(event)

    @property
    def counts(self) -> bool:
        """Whether it came to an answer by itself."""
        return bool(self.text.strip()) and self.finished is not None and self.finished.reason == "stop"


async def voted(stream: AsyncIterator[Event], request: Request, turn: Turn) -> AsyncGenerator[Event, None]:
    """All samples, shown as reasoning one after another, then the answer of the majority; `stream` is the first one.

    The later ones are asked for with the same request, whose prompt the engine has read already. `/think enough` leaves
    out those that are not begun; one that fails leaves the decision to those before it.
    """
    plan, samples = plan_of(turn), [Sample()]
    votes = plan.choice.votes
    yield Progress(f"Sample 1 of {votes}", 0, votes, "samples")
    async with aclosing(_sample(answered(stream, request, turn), samples[0], f"Sample 1 of {votes}")) as events:
        async for event in events:
            yield event
    for number in range(2, votes + 1):
        first = samples[0]
        if plan.enough or first.calls or first.finished is None or first.finished.reason == "failed":
            break
        label = f"Sample {number} of {votes}"
        yield Progress(label, number - 1, votes, "samples")
        sample = Sample()
        source = answered(current(turn.session).stream(reseeded(request, number)), request, turn)
        try:
            async with aclosing(_sample(source, sample, f"\n\n{label}")) as events:
                async for event in events:
                    yield event
        except ChatappError as error:
            yield Notice(f"{label} failed ({error}); those before it decide.", "warning")
            break
        samples.append(sample)
    for event in decided(samples):
        yield event


def reseeded(request: Request, number: int) -> Request:
    """The request for sample `number`; where the seed is fixed, with a seed of its own."""
    seed = request.sampling.seed
    if seed is None:
        return request
    return replace(request, sampling=replace(request.sampling, seed=seed + number - 1))


async def _sample(source: AsyncGenerator[Event, None], sample: Sample, label: str) -> AsyncGenerator[Event, None]:
    """One sample, all of it as reasoning; its ending is kept for later."""
    yield ReasoningDelta(f"{label}\n\n")
    async with aclosing(source) as events:
        async for event in events:
            before = sample.reasoning if not sample.text else ""
            sample.absorb(event)
            if isinstance(event, ReasoningDelta):
                yield event
            elif isinstance(event, TextDelta):
                # What was thought and is then said word for word stands there already.
                shown = "" if event.text == before else event.text
                yield ReasoningDelta(f"\n\n{shown}" if before and shown else shown)
            elif not isinstance(event, (Usage, Finished, ToolCall)):
                yield event


def decided(samples: list[Sample]) -> list[Event]:
    """The events that end a vote: the winner's text, who agrees, and the usage of all."""
    counted = [sample for sample in samples if sample.counts] or [sample for sample in samples if sample.text]
    events: list[Event] = []
    winner = samples[0]
    if counted:
        keys = [answer_key(sample.text) for sample in counted]
        place, agree = majority(keys)
        winner = counted[place]
        events.append(TextDelta(winner.text, winner.logprobs))
        if len(samples) > 1:
            line = f"{agree} of {len(samples)} samples agree."
            events.append(Data("thinking.votes", {"agree": agree, "samples": len(samples), "answers": keys}, line))
    events += winner.calls
    usage = together(*(sample.usage for sample in samples))
    return [*events, *([usage] if usage else []), winner.finished or Finished("stopped")]
