"""One turn: what the user said, what the model was sent, and what came back so far."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from chatapp.context import Layout, Piece, with_reuse
from chatapp.engine import Request
from chatapp.errors import ChatappError, EngineError
from chatapp.events import Event, Finished, Notice, ReasoningDelta, TextDelta, Usage
from chatapp.messages import Data, Media, Message, Part, Reasoning, Source, Text, ToolCall
from chatapp.plugins import explain

if TYPE_CHECKING:
    from chatapp.session import Session

ANSWER_RESERVE = 1024
"""Tokens of the context kept free for an answer whose length nobody set."""


def failure(error: Exception) -> Finished:
    """The end of an answer whose engine raised this."""
    known = isinstance(error, ChatappError)
    return Finished("failed", str(error) if known else f"The engine failed: {explain(error)}")


def budget(context: int, answer: int | None) -> int:
    """Tokens a prompt may have in a context of so many: the answer's are kept free, but a quarter at the most."""
    return context - min(answer or ANSWER_RESERVE, context // 4)


def announced(layout: Layout, values: dict[str, Any]) -> Iterator[Notice]:
    """What the user should know of how a prompt was laid out; `values` remember what was said."""
    if layout.first_kept != values.get("first_kept"):
        values["first_kept"] = layout.first_kept
        yield Notice(
            f"The conversation has outgrown the model's context: its {layout.left_out} oldest messages are no "
            "longer read by the model. They stay here and in the archive; pin a message to keep it in."
        )
    for block in layout.dropped:
        yield Notice(f"There was no room for {block.title or block.plugin!r}; it was left out of this turn.", "warning")


@dataclass(slots=True)
class Answer:
    """An assistant's message that grows as events come in; text next to text is one part."""

    id: str
    meta: dict[str, Any] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    created: float = field(default_factory=time.time)
    _thought_since: float | None = None
    _deltas: int = 0

    def absorb(self, event: Event) -> None:
        """Take in what belongs to the message; other events are left to whoever wants them."""
        self._deltas += isinstance(event, (TextDelta, ReasoningDelta))
        if isinstance(event, TextDelta):
            self._grow_text(event.text)
        elif isinstance(event, ReasoningDelta):
            self._grow_reasoning(event.text)
        elif isinstance(event, (Text, ToolCall, Media, Source, Data)):
            self.parts.append(event)

    def _grow_text(self, text: str) -> None:
        last = self.parts[-1] if self.parts else None
        if isinstance(last, Reasoning) and text and last.text == text:
            # Thought and then said word for word: it was the answer after all, and is kept once.
            self.parts[-1] = Text(text)
        elif isinstance(last, Text):
            self.parts[-1] = Text(last.text + text)
        elif text:
            self.parts.append(Text(text))

    def _grow_reasoning(self, text: str) -> None:
        last = self.parts[-1] if self.parts else None
        if not isinstance(last, Reasoning):
            self._thought_since = time.monotonic()
            self.parts.append(Reasoning(text, 0.0, 1))
        else:
            since = self._thought_since or time.monotonic()
            seconds, tokens = time.monotonic() - since, (last.tokens or 0) + 1
            self.parts[-1] = replace(last, text=last.text + text, seconds=seconds, tokens=tokens)

    def weigh(self, tokens: int) -> None:
        """The whole answer is so many tokens: correct what the reasoning counted, one per delta.

        An engine that sends several tokens at once has fewer deltas; reasoning then gets its share by length.
        """
        if not self._deltas or tokens < 2 * self._deltas:
            return
        length = sum(len(part.text) for part in self.parts if isinstance(part, (Text, Reasoning)))
        for place, part in enumerate(self.parts):
            if isinstance(part, Reasoning):
                self.parts[place] = replace(part, tokens=round(tokens * len(part.text) / max(length, 1)))

    @property
    def calls(self) -> list[ToolCall]:
        """The tool calls in it."""
        return [part for part in self.parts if isinstance(part, ToolCall)]

    def message(self) -> Message:
        """The message as it is now."""
        return Message("assistant", tuple(self.parts), self.id, self.created, meta=dict(self.meta))


@dataclass(slots=True)
class Turn:
    """A turn under way, handed to hooks.

    `message` is the user's; `budget` the tokens a prompt may have (who adds to the request what is no block, such as
    tools, takes that off in `context`); `sent` what was sent in the latest round, piece by
    piece, and `request` the whole of it; `answers` the messages that came back (several when tools were used); `usage`
    the latest round's. `notes` is a place for plugins to keep something from one hook to the next; use your plugin's
    name as the key.
    """

    session: Session
    message: Message
    budget: int = 0
    round: int = 0
    sent: tuple[Piece, ...] = ()
    request: Request | None = None
    answers: list[Message] = field(default_factory=list)
    usage: Usage | None = None
    finished: Finished | None = None
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The answer's text so far, of all rounds."""
        return "\n\n".join(message.text for message in self.answers if message.role == "assistant" and message.text)

    @property
    def values(self) -> Mapping[str, Any]:
        """What is switched on in this conversation."""
        return self.session.values

    def account(self, answer: Answer, usage: Usage) -> None:
        """Keep what an answer cost, beside it and in what was sent."""
        self.usage = usage
        answer.weigh(usage.completion_tokens)
        self.sent = with_reuse(self.sent, usage.spans, usage.reused_tokens)
        answer.meta["usage"] = {key: value for key, value in asdict(usage).items() if key != "spans"}


async def completed(session: Session, text: str) -> Turn:
    """Send a message and wait for the whole turn; EngineError with the reason when it failed."""
    async with aclosing(session.send(text)) as events:
        async for _ in events:
            pass  # what counts is what is there in the end
    turn = session.turn
    assert turn is not None
    if turn.finished is not None and turn.finished.reason == "failed":
        raise EngineError(turn.finished.error)
    return turn
